local wires = require("resty.switchboard.store.wire")

--- A socket from which these pieces come, one at a time; then nothing more does, or it is closed.
local function socket_of(pieces, ending)
  local i = 0
  return {
    settimeout = function() end,
    receiveany = function()
      i = i + 1
      if pieces[i] then return pieces[i] end
      return nil, ending or "timeout"
    end,
  }
end

--- What is read of these bytes, however they are cut into pieces.
local function read(pieces, room, ending)
  local wire = wires.create(socket_of(type(pieces) == "table" and pieces or { pieces }, ending))
  wires.expect(wire, ngx.now() + 1, room or 1000000)
  local value, err = wires.read(wire)
  return value, err, wire
end

describe("what Redis sends", function()
  local good = {
    { "+OK\r\n", "OK" },
    { "+\r\n", "" },
    { ":42\r\n", 42 },
    { ":-1\r\n", -1 },
    { "$5\r\nhello\r\n", "hello" },
    { "$0\r\n\r\n", "" },
    { "$4\r\n\r\n\0\255\r\n", "\r\n\0\255" },
    { "$-1\r\n", ngx.null },
    { "*-1\r\n", ngx.null },
    { "*0\r\n", {} },
    { "-ERR no\r\n", { false, "ERR no" } },
    { "*3\r\n$1\r\na\r\n:7\r\n-WRONGTYPE x\r\n", { "a", 7, { false, "WRONGTYPE x" } } },
    { "*3\r\n$12\r\nhello, world\r\n$0\r\n\r\n$04\r\nfour\r\n", { "hello, world", "", "four" } },
    { "*2\r\n$99\r\n" .. ("x"):rep(99) .. "\r\n$100\r\n" .. ("y"):rep(100) .. "\r\n", { ("x"):rep(99), ("y"):rep(100) } },
    { "*2\r\n*1\r\n+a\r\n*1\r\n$-1\r\n", { { "a" }, { ngx.null } } },
  }
  for _, case in ipairs(good) do
    it(("%q is read, in one piece or byte by byte"):format(case[1]), function()
      local bytes = {}
      for byte in case[1]:gmatch(".") do bytes[#bytes + 1] = byte end
      for _, pieces in ipairs({ { case[1] }, bytes }) do
        local value, err, wire = read(pieces)
        assert.is_nil(err)
        assert.same(case[2], value)
        assert.is_true(wires.is_drained(wire))
      end
    end)
  end

  it("in one go is read value by value", function()
    local _, _, wire = read("+OK\r\n$2\r\nab\r\n")
    assert.is_false(wires.is_drained(wire))
    assert.equal("ab", (wires.read(wire)))
    assert.is_true(wires.is_drained(wire))
  end)

  it("to each command of a transaction is passed over, where it has come", function()
    local wire = wires.create(socket_of({ "+QUEUED\r\n+QUEUED\r\n-ERR no\r\n" }))
    wires.expect(wire, ngx.now() + 1, 1000)
    assert.is_false(wires.skip_queued(wire))
    assert.equal("QUEUED", (wires.read(wire)))
    assert.is_true(wires.skip_queued(wire))
    assert.is_false(wires.skip_queued(wire))
    assert.same({ false, "ERR no" }, (wires.read(wire)))
  end)

  local bad = {
    "HTTP/1.1 400 Bad Request\r\n", "\21\3\3", "\r\n", "$\r\n", "$x\r\n", "$1.5\r\n", "$-2\r\n", "$nan\r\n", "*inf\r\n", "*x\r\n", ":\r\n", ":x\r\n",
    "$2\r\nabcd", "*1\r\n$2\r\nabcd", "*1\r\n$2\rxab\r\n", "*1\r\n$12\rxab\r\n", "*1\r\n$x\r\nab\r\n", "*1\r\n$1x\r\na\r\n", "$0\r\nab", ("*1\r\n"):rep(9) .. "+a\r\n", "+" .. ("x"):rep(20000),
  }
  for _, bytes in ipairs(bad) do
    it(("%q is no RESP"):format(bytes:sub(1, 30)), function()
      local value, err = read(bytes)
      assert.is_nil(value)
      assert.truthy(err == wires.NO_REDIS or err == wires.TOO_LARGE, err)
    end)
  end

  it("is not taken in where it is larger than there is room", function()
    for _, bytes in ipairs({ "$1000\r\n", "$104857600\r\n", "*100000000\r\n", ("*100\r\n" .. ("$0\r\n\r\n"):rep(100)) }) do
      local value, err = read(bytes, 900)
      assert.is_nil(value)
      assert.equal(wires.TOO_LARGE, err)
    end
  end)

  it("is judged before it has come: nothing is waited for", function()
    local asked = 0
    local socket = socket_of({ "$104857600\r\n" })
    local receive = socket.receiveany
    socket.receiveany = function(...)
      asked = asked + 1
      return receive(...)
    end
    local wire = wires.create(socket)
    wires.expect(wire, ngx.now() + 1, 4194304)
    assert.equal(wires.TOO_LARGE, select(2, wires.read(wire)))
    assert.equal(1, asked)
  end)

  it("and ends in its middle says so", function()
    assert.equal("timeout", select(2, read({})))
    assert.equal("closed", select(2, read({}, nil, "closed")))
    for _, half in ipairs({ "+PO", "$5\r\nhel", "*2\r\n+a\r\n", "$5\r\nhello", "$5\r\nhello\r" }) do
      local _, err = read(half)
      assert.truthy(err:find("timeout: a part of its reply came", 1, true), err)
      assert.equal("closed", select(2, read(half, nil, "closed")))
    end
  end)

  it("and drips is waited for until the deadline, not longer", function()
    local socket = socket_of({})
    socket.receiveany = function()
      ngx.sleep(0.02)
      return "x"
    end
    local wire = wires.create(socket)
    ngx.update_time()
    wires.expect(wire, ngx.now() + 0.1, 1000)
    wire.buffer = "+"
    local _, err = wires.read(wire)
    assert.truthy(err:find("timeout", 1, true), err)
  end)

  it("raises nothing, whatever it is", function()
    math.randomseed(20261124)
    local pieces = { "+", "-", ":", "$", "*", "\r\n", "\r", "\n", "0", "1", "2", "9", "-1", "e", "x", " ", "nan", "inf", "0x10", "a\r\n", "\0", "\255" }
    for _ = 1, 30000 do
      local words = {}
      for i = 1, math.random(1, 12) do words[i] = pieces[math.random(#pieces)] end
      local value, err = read(words, 10000)
      assert.is_true((value == nil) ~= (err == nil), table.concat(words))
    end
  end)
end)
