local check_of = require("resty.switchboard.schema.check").check_of
local examination = require("resty.switchboard.health.examination")

local HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
local CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

local function judge(answer, ended, options)
  options = options or {}
  options.check = options.check or "http:/health"
  return examination.judge(check_of(options), answer, ended == true)
end

describe("an answer to a check", function()
  it("is worth its status, as soon as that has come", function()
    assert.is_false((judge("")))
    assert.is_false((judge("HTTP/1.1 20")))
    assert.same({ true }, { judge("HTTP/1.1 200 OK\r\n") })
    assert.same({ true }, { judge("HTTP/1.0 204\r\n") })
    assert.same({ true, "status 503" }, { judge("HTTP/1.1 503 Sorry\r\n") })
    assert.same({ true }, { judge("HTTP/1.1 503 Sorry\r\n", false, { check_status = "200-299,503" }) })
  end)

  it("is none where nothing comes, or no HTTP", function()
    assert.same({ true, "closed without an answer" }, { judge("", true) })
    assert.same({ true, "closed without an answer" }, { judge("HTTP/1.1 200", true) })
    assert.same({ true, "no HTTP" }, { judge("220 mail.example ESMTP\r\n") })
  end)

  it("must have the text in its body, not in its header", function()
    local wanted = { check_body = "all well" }
    assert.is_false((judge(HEAD, false, wanted)))
    assert.is_false((judge("HTTP/1.1 200 OK\r\nX: all well\r\n\r\n", false, wanted)))
    assert.same({ true }, { judge(HEAD .. "we are all well here", false, wanted) })
    assert.same({ true, "status 200, without the text in its body" }, { judge(HEAD .. "all is well", true, wanted) })
    assert.same({ true, "status 500" }, { judge("HTTP/1.1 500 No\r\n\r\nall well", false, wanted) })
  end)

  it("may come in chunks that cut the text", function()
    local wanted = { check_body = "all well" }
    assert.is_false((judge(CHUNKED .. "4\r\nall \r\n", false, wanted)))
    assert.same({ true }, { judge(CHUNKED .. "4;x=y\r\nall \r\n4\r\nwell\r\n0\r\n\r\n", false, wanted) })
    assert.is_false((judge(CHUNKED .. "4\r\nall \r\nzz\r\nwell\r\n", false, wanted)))
  end)

  it("raises nothing, whatever bytes come", function()
    math.randomseed(41)
    local starts = { "", "HTTP/1.1 200 OK\r\n", HEAD, CHUNKED, CHUNKED .. "ffffffffff\r\n" }
    for _ = 1, 5000 do
      local bytes = {}
      for i = 1, math.random(0, 60) do bytes[i] = string.char(math.random(0, 255)) end
      judge(starts[math.random(#starts)] .. table.concat(bytes), math.random(2) == 1, { check_body = "x" })
    end
  end)
end)

describe("a check", function()
  local function examine(port, options)
    local patient = { identity = "http://127.0.0.1:" .. port, address = "127.0.0.1", port = port, tls = false, host = "a.example" }
    return examination.examine(patient, check_of(options))
  end

  it("asks the instance", function()
    assert.is_nil(examine(9001, { check = "tcp" }))
    assert.is_nil(examine(9001, { check = "http:/", check_body = "9001" }))
    assert.equal("status 200, without the text in its body", examine(9001, { check = "http:/", check_body = "9002" }))
    assert.equal("could not connect: connection refused", examine(1, { check = "tcp" }))
  end)

  it("ends in time", function()
    -- Redis takes it for a command that is still to come.
    local began = ngx.now()
    local patient = { identity = "http://127.0.0.1:6379", address = "127.0.0.1", port = 6379, tls = true, host = "a.example" }
    assert.is_truthy(examination.examine(patient, check_of({ check = "http:/", check_timeout = "50ms" })))
    assert.is_true(ngx.now() - began < 2)
  end)
end)
