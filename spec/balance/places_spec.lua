-- Places are counted in a real shared dict; the workers are copies of the module, and processes that are gone.

local line = require("resty.switchboard.balance.line")
local reclaim = require("resty.switchboard.balance.reclaim")

local dict = ngx.shared.switchboard_state
local NAME = "p:c:http://10.0.0.1:80"

--- One more worker of the node: the module with a state of its own.
local function worker()
  package.loaded["resty.switchboard.balance.places"] = nil
  local places = require("resty.switchboard.balance.places")
  places.open(dict)
  return places
end

--- As `kill -9` would: its list names a process that there is no longer.
local function kill(number)
  dict:set("p:w:" .. number, "999999999 12345")
end

local function count() return dict:get(NAME) or 0 end

describe("places that workers share", function()
  before_each(function() dict:flush_all() end)

  it("are taken until there are no more, by all workers together", function()
    local a, b = worker(), worker()
    local first = a.take(NAME, 3)
    assert.is_true(first > 0)
    assert.is_true(b.take(NAME, 3) > 0)
    assert.is_true(b.take(NAME, 3) > 0)
    assert.equal(a.NONE, a.take(NAME, 3))
    assert.equal(b.NONE, b.take(NAME, 3))
    assert.equal(3, a.taken_of(NAME))
    a.leave(NAME, first)
    assert.is_true(b.take(NAME, 3) > 0)
    assert.equal(a.NONE, a.take(NAME, 3))
  end)

  it("come back to none, and leave no key behind but the count, which ends by itself", function()
    local a = worker()
    for _ = 1, 3 do
      local taken = {}
      for i = 1, 50 do taken[i] = a.take("p:r:" .. i, 1) end
      for i = 1, 50 do a.leave("p:r:" .. i, taken[i]) end
    end
    for i = 1, 50 do
      assert.equal(0, dict:get("p:r:" .. i))
      assert.is_true(dict:ttl("p:r:" .. i) > 50)
      assert.is_nil(dict:get("p:1:" .. i))
    end
    assert.equal(50, dict:get("p:l:1"))
  end)

  it("tell processes apart that have the same number", function()
    local a = worker()
    a.take(NAME, 1)
    local pid, since = dict:get("p:w:1"):match("^(%d+) (%d+)$")
    assert.equal(ngx.worker.pid(), tonumber(pid))
    assert.equal(since, a.born(tonumber(pid)))
    assert.is_nil(a.born(999999999))
  end)
end)

describe("the places of workers that are gone", function()
  local looks, now

  before_each(function()
    dict:flush_all()
    looks, now = reclaim.create(dict), 0
  end)

  local function look(times)
    for _ = 1, times or 1 do
      now = now + 1
      reclaim.tick(looks, now)
    end
  end

  it("are given back; those of the others stay", function()
    local a, b = worker(), worker()
    a.take(NAME, 9)
    a.take("p:q:a.example", 9)
    b.take(NAME, 9)
    a.take(NAME, 9)
    look()
    assert.equal(3, count())
    kill(1)
    look()
    assert.equal(1, count())
    assert.equal(0, dict:get("p:q:a.example"))
    for _, key in ipairs { "p:w:1", "p:l:1", "p:1:1", "p:1:2", "p:1:3" } do assert.is_nil(dict:get(key), key) end
    assert.is_truthy(dict:get("p:w:2"))
    look(10)
    assert.equal(1, count())
  end)

  it("are found by whoever looks next, also those of a worker that is gone before the first look", function()
    local a, b = worker(), worker()
    a.take(NAME, 9)
    kill(1)
    b.take(NAME, 9)
    look()
    assert.equal(1, count())
    kill(2)
    reclaim.tick(reclaim.create(dict), now)
    assert.equal(0, count())
  end)

  it("do not wait for a worker that died before it had a list", function()
    dict:incr("p:last", 1, 0)
    local a = worker()
    a.take(NAME, 9)
    look(3)
    assert.same({ 2 }, looks.workers)
    assert.equal(1, count())
  end)

  it("are put right where a worker died between its list and the count, or the count was lost", function()
    local a, b = worker(), worker()
    a.take(NAME, 9)
    b.take(NAME, 9)
    b.take(NAME, 9)
    -- On the list, not counted.
    dict:incr(NAME, -1)
    kill(1)
    look()
    assert.equal(1, count())
    look()
    assert.equal(1, count(), "it may be about to be written")
    look()
    assert.equal(2, count())
    dict:delete(NAME)
    look(3)
    assert.equal(2, count())
    dict:incr(NAME, 5)
    look(3)
    assert.equal(2, count())
  end)

  it("are put right where nobody has any any more", function()
    local a = worker()
    a.take(NAME, 9)
    dict:incr(NAME, -1)
    kill(1)
    look(3)
    assert.equal(0, count())
  end)

  it("are left alone while counts are off for a moment only", function()
    local a = worker()
    a.take(NAME, 9)
    for _, off in ipairs { 1, -1, 1, -1, 2, 0, 1, 1, 0, -1, -1 } do
      dict:set(NAME, 1 + off)
      look()
      assert.equal(1 + off, count())
    end
  end)

  it("keep counts alive for as long as a request runs", function()
    local a = worker()
    a.take(NAME, 9)
    dict:expire(NAME, 5)
    look()
    assert.is_true(dict:ttl(NAME) > 50)
  end)

  it("are looked for once a second", function()
    local a = worker()
    a.take(NAME, 9)
    look()
    kill(1)
    reclaim.tick(looks, now + 0.9)
    assert.equal(1, count())
    reclaim.tick(looks, now + 1)
    assert.equal(0, count())
  end)
end)

describe("a line of waiting requests", function()
  local function is_awake(waiter) return waiter.awake:count() > 0 end

  it("has one first at a time, and tells the next when that leaves", function()
    local name = line.line_of("a.example", nil)
    assert.is_false(line.is_waited_for(name))
    local a, b, c = line.join(name), line.join(name), line.join(name)
    assert.same({ true, false, false }, { line.is_first(a), line.is_first(b), line.is_first(c) })
    line.leave(b)
    assert.is_false(is_awake(a) or is_awake(c))
    line.leave(a)
    assert.is_true(is_awake(c) and line.is_first(c))
    line.leave(c)
    assert.is_false(line.is_waited_for(name))
  end)

  it("hears of places of its route: first who waits for that instance, else who waits for any", function()
    local any, own = line.join(line.line_of("a.example", nil)), line.join(line.line_of("a.example", "p:c:x"))
    local other = line.join(line.line_of("b.example", nil))
    line.wake("a.example", "p:c:x")
    assert.same({ false, true, false }, { is_awake(any), is_awake(own), is_awake(other) })
    line.wake("a.example", "p:c:y")
    assert.same({ true, true, false }, { is_awake(any), is_awake(own), is_awake(other) })
    for _, waiter in ipairs { any, own, other } do line.leave(waiter) end
    line.wake("a.example", "p:c:x")
  end)
end)
