-- Who guesses a secret learns nothing from how long a wrong guess takes: not how much of it is right, nor how long the right
-- one is. Steps of the interpreter are counted: time would have to be believed.

local is_same_secret = require("resty.switchboard.request.secret").is_same_secret
local refusal = require("resty.switchboard.admin.token").refusal
local within_request = require("within_request").run

local RIGHT = "correct-horse-battery-staple-009"

-- Steps that the interpreter takes for a call; machine code has none that can be counted.
local function steps_of(call, ...)
  call(...) -- What is made once is made.
  local steps = 0
  jit.off()
  jit.flush()
  debug.sethook(function() steps = steps + 1 end, "", 1)
  local result = call(...)
  debug.sethook()
  jit.on()
  return steps, result
end

-- The same length, and one wrong byte at a place.
local function wrong_at(place)
  return RIGHT:sub(1, place - 1) .. "#" .. RIGHT:sub(place + 1)
end

local GUESSES = {
  ["wrong in the first byte"] = wrong_at(1),
  ["wrong in the middle"] = wrong_at(16),
  ["wrong in the last byte"] = wrong_at(#RIGHT),
  ["wrong in all bytes"] = ("#"):rep(#RIGHT),
  ["the beginning"] = RIGHT:sub(1, -2),
  ["one byte too long"] = RIGHT .. "#",
  ["a NUL too long"] = RIGHT .. "\0",
  ["a NUL in it"] = RIGHT:sub(1, 15) .. "\0" .. RIGHT:sub(17),
  ["one byte"] = "c",
  ["nothing"] = "",
  ["much too long"] = RIGHT:rep(100),
}

describe("comparing secrets", function()
  local function compare(given, right)
    return within_request(function()
      local steps, same = steps_of(is_same_secret, given, right)
      return { steps = steps, same = same }
    end)
  end

  it("takes the right one alone", function()
    assert.is_true(compare(RIGHT, RIGHT).same)
    for what, guess in pairs(GUESSES) do assert.is_false(compare(guess, RIGHT).same, what) end
  end)

  it("takes as many steps whatever is wrong", function()
    local steps = compare(wrong_at(1), RIGHT).steps
    assert.is_true(steps > 5, "no steps were counted")
    for what, guess in pairs(GUESSES) do assert.equal(steps, compare(guess, RIGHT).steps, what) end
  end)

  it("takes as many steps however long the right one is", function()
    local steps = compare("guess", RIGHT).steps
    for _, right in ipairs { "x", "guest", "guess" .. RIGHT, ("x"):rep(1000) } do
      assert.equal(steps, compare("guess", right).steps, right)
    end
  end)

  it("tells secrets with NUL bytes apart by all of their bytes", function()
    assert.is_true(compare("a\0b", "a\0b").same)
    for _, guess in ipairs { "a\0c", "a", "a\0", "\0a\0b", "a\0b\0" } do
      assert.is_false(compare(guess, "a\0b").same, ("%q"):format(guess))
    end
  end)

  it("compares what nobody outside can know: digests, under a key of the worker", function()
    local keys, digested = {}, {}
    local digest = ngx.hmac_sha1
    within_request(function()
      ngx.hmac_sha1 = function(key, text)
        keys[#keys + 1], digested[#digested + 1] = key, text
        return digest(key, text)
      end
      local ok, problem = pcall(is_same_secret, "guess", RIGHT)
      ngx.hmac_sha1 = digest
      assert(ok, problem)
    end)
    assert.same({ "guess", RIGHT }, digested)
    assert.equal(keys[1], keys[2])
    assert.matches(("^%d "):format(ngx.worker.pid()), keys[1])
  end)
end)

describe("the token of the admin server", function()
  local function ask(authorization)
    return within_request(function()
      local steps, refused = steps_of(refusal, { admin_token = RIGHT }, authorization)
      return { steps = steps, refused = refused }
    end)
  end

  it("is refused with 401 when it is wrong, in as many steps whatever is wrong of it", function()
    assert.is_nil(ask("Bearer " .. RIGHT).refused)
    local steps = ask("Bearer " .. wrong_at(1)).steps
    for what, guess in pairs(GUESSES) do
      local answer = ask("Bearer " .. guess)
      assert.equal(401, answer.refused.status, what)
      assert.equal("unauthorized", answer.refused.error, what)
      -- No token at all is no guess.
      if guess ~= "" then assert.equal(steps, answer.steps, what) end
    end
  end)
end)
