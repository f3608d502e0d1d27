local dict = require("resty.switchboard.route.dict")
local file = require("resty.switchboard.route.snapshot_file")
local keeper = require("resty.switchboard.route.snapshot_keeper")
local names = require("resty.switchboard.route.names")
local snapshot = require("resty.switchboard.route.snapshot")
local changes = require("resty.switchboard.route.changes")
local trust = require("resty.switchboard.store.trust")
local guard = require("resty.switchboard.route.guard")

local function slurp(path)
  local handle = assert(io.open(path, "rb"))
  local bytes = handle:read("*a")
  handle:close()
  return bytes
end

local function spit(path, bytes)
  local handle = assert(io.open(path, "wb"))
  handle:write(bytes)
  handle:close()
end

local function config(more)
  local values = {
    schema = { "native" }, server_schemas = {}, key_format = "{kind}:{name}", legacy_prefix = "", redis_url = { db = 0 },
    snapshot_max_age = 0, snapshot = SPEC_PREFIX .. "/routes.snapshot",
  }
  for key, value in pairs(more or {}) do values[key] = value end
  return values
end

local path = config().snapshot
local identity = snapshot.identity_of(config())

--- Writes records, some to a frame; returns them as a reader must see them.
local function write(records, to_a_frame)
  local writer = assert(file.begin(path, identity))
  local expected = {}
  for i, record in ipairs(records) do
    file.add(writer, record[1], record[2], record[3], record[4])
    expected[i] = { record[1], record[2], record[3], record[4] }
    if i % to_a_frame == 0 then assert.is_nil(file.end_frame(writer)) end
  end
  assert(file["end"](writer, 1700000000.5))
  return expected
end

local function read(oldest)
  local found = {}
  local written, wrong = file.read(path, identity, oldest or 0, function(kind, name, loaded, text)
    found[#found + 1] = { kind, name, loaded, text }
  end)
  return written, wrong, found
end

local RECORDS = {
  { "R", "a.example", 1700000000.125, "\nb\n10.0.0.1:80" },
  { "R", "*.b.example", 1, "1700000010 -\nz\n10.0.0.1:80\n10.0.0.2:80 w5" },
  { "M", "x.b.example", 0, "*.b.example" },
  { "R", "c.example/api", 1700000001, "\n-! p@pool" },
  { "R", "d.example", 1700000002, "\n-" },
}

describe("a snapshot", function()
  after_each(function() os.remove(path) end)

  it("that is replaced is not freed at once, but in pieces, and then is gone", function()
    local before = require("resty.switchboard.route.snapshot_before")
    local aside = path .. ".before"
    spit(aside, "left by a worker that was killed")
    spit(path, ("x"):rep(3 * 1024 * 1024))
    write(RECORDS, 2)
    assert.equal(3 * 1024 * 1024, #slurp(aside))
    local sizes = {}
    local watcher = ngx.thread.spawn(function()
      while true do
        local handle = io.open(aside, "rb")
        if not handle then return end
        sizes[handle:seek("end")] = true
        handle:close()
        ngx.sleep(0.001)
      end
    end)
    before.let_go(path)
    ngx.thread.wait(watcher)
    assert.is_true(sizes[1024 * 1024] or sizes[2 * 1024 * 1024])
    assert.is_nil(io.open(aside))
    local _, wrong, found = read()
    assert.is_nil(wrong)
    assert.equal(#RECORDS, #found)
    before.let_go(path)
  end)

  it("comes back as it was, however it is cut into frames", function()
    for to_a_frame = 1, #RECORDS + 1 do
      local expected = write(RECORDS, to_a_frame)
      local written, wrong, found = read()
      assert.is_nil(wrong)
      assert.same(expected, found)
      assert.same({ time = 1700000000.5, bytes = #slurp(path), count = #RECORDS }, written)
    end
    write({}, 1)
    assert.equal(0, (read()).count)
  end)

  it("of many random routes comes back as it was", function()
    math.randomseed(7)
    local records = {}
    for i = 1, 3000 do
      local text = {}
      for j = 1, math.random(0, 120) do text[j] = string.char(math.random(0, 255)) end
      records[i] = { "R", ("n%d.example"):format(i), math.random(0, 2 ^ 31) + 0.5, "\n" .. table.concat(text) }
    end
    local expected = write(records, 64)
    local _, wrong, found = read()
    assert.is_nil(wrong)
    assert.same(expected, found)
  end)

  it("that was cut anywhere is refused, and nothing of it used", function()
    write(RECORDS, 2)
    local whole = slurp(path)
    for length = 0, #whole - 1 do
      spit(path, whole:sub(1, length))
      local written, wrong, found = read()
      assert.is_nil(written, length)
      assert.is_string(wrong)
      assert.same({}, found)
    end
  end)

  it("with any byte changed is refused, and nothing of it used", function()
    write(RECORDS, 2)
    local whole = slurp(path)
    for at = 1, #whole do
      for _, bit in ipairs { 0, 5, 7 } do
        local byte = require("bit").bxor(whole:byte(at), 2 ^ bit)
        spit(path, whole:sub(1, at - 1) .. string.char(byte) .. whole:sub(at + 1))
        local written, wrong, found = read()
        assert.is_nil(written, ("byte %d, bit %d"):format(at, bit))
        assert.is_string(wrong)
        assert.same({}, found)
      end
    end
  end)

  it("with frames left out, twice, in another order, or with something behind it is refused", function()
    write(RECORDS, 1)
    local whole = slurp(path)
    local head, rest = whole:match("^([^\n]*\n[^\n]*\n)(.*)$")
    local frames = {}
    while rest ~= "" do
      local size, line = rest:match("^(%d+)"), rest:match("^[^\n]*\n")
      frames[#frames + 1] = rest:sub(1, #line + size)
      rest = rest:sub(#line + size + 1)
    end
    assert.equal(#RECORDS, #frames)
    local function refused(list)
      spit(path, head .. table.concat(list))
      local written, wrong, found = read()
      assert.is_nil(written)
      assert.is_string(wrong)
      assert.same({}, found)
    end
    refused { frames[1], frames[2], frames[3], frames[4] }
    refused { frames[1], frames[2], frames[3], frames[4], frames[4] }
    refused { frames[2], frames[1], frames[3], frames[4], frames[5] }
    refused { frames[1], frames[2], frames[3], frames[4], frames[5], frames[5] }
    refused { frames[1], frames[2], frames[3], frames[4], frames[5], "x" }
  end)

  it("of any garbage is refused", function()
    math.randomseed(5)
    write(RECORDS, 2)
    local whole = slurp(path)
    for _ = 1, 500 do
      local from, to = math.random(#whole), math.random(#whole)
      local garbage = {}
      for i = 1, math.random(0, 40) do garbage[i] = string.char(math.random(0, 255)) end
      local text = whole:sub(1, from) .. table.concat(garbage) .. whole:sub(to)
      if text ~= whole then
        spit(path, text)
        local written, _, found = read()
        assert.is_nil(written)
        assert.same({}, found)
      end
    end
  end)

  it("of another version, layout or database says so, and one too old", function()
    write(RECORDS, 2)
    local whole = slurp(path)
    for _, more in ipairs {
      { schema = { "native", "hipache" } }, { server_schemas = { "dinp" } }, { key_format = "sb:{kind}:{name}" }, { legacy_prefix = "p" }, { redis_url = { db = 1 } },
    } do
      local written, wrong = file.read(path, snapshot.identity_of(config(more)), 0, error)
      assert.is_nil(written)
      assert.matches("^it has routes of schema=native server_schemas= key_format=", wrong)
    end
    spit(path, (whole:gsub("^switchboard%-routes 2", "switchboard-routes 3")))
    assert.equal("it is of format 3, this is 2", select(2, read()))
    spit(path, "hello\n")
    assert.equal("it is no snapshot of routes", select(2, read()))
    spit(path, whole)
    assert.equal("it is older than snapshot_max_age", select(2, read(1700000001)))
    assert.is_nil(select(2, read(1700000000)))
  end)

  it("is its owner's alone, and replaces what was left beside it", function()
    spit(path .. ".tmp", "left by a killed worker")
    write(RECORDS, 2)
    local handle = io.popen("stat -c %a " .. path)
    assert.equal("600", handle:read("*l"))
    handle:close()
    assert.is_nil(io.open(path .. ".tmp"))
  end)

  it("that is not there is no mistake, and one that cannot be written says why", function()
    local written, wrong = read()
    assert.is_nil(written)
    assert.is_nil(wrong)
    local writer, err = file.begin("/nowhere/routes.snapshot", identity)
    assert.is_nil(writer)
    assert.matches("No such file or directory", err)
    -- A disk without room.
    writer = assert(file.begin(path, identity))
    writer.file = assert(io.open("/dev/full", "w"))
    file.add(writer, "R", "a.example", 1, "\nb")
    local _, full = file["end"](writer, 1)
    assert.matches("No space left", full)
    assert.is_nil(io.open(path .. ".tmp"))
    assert.is_nil(io.open(path))
  end)
end)

describe("the snapshot of a node", function()
  local dicts = dict.open()
  local function forget_all()
    for _, one in ipairs { dicts.routes, dicts.names, dicts.state, dicts.matches } do
      one:flush_all()
      one:flush_expired()
    end
  end
  before_each(forget_all)
  after_each(function()
    forget_all()
    os.remove(path)
  end)

  local function route(body)
    return { loaded = 1700000000.25, fresh = 10, held = false, epoch = 3, stamp = 5, text = body }
  end

  --- Runs the keeper until its timer has ended.
  local function keep(given, may)
    local kept = keeper.create(given or config(), dicts, may or function() return true end)
    keeper.tick(kept)
    while kept.busy do ngx.sleep(0.005) end
    return kept
  end

  it("holds what it knows, and brings it back as something to be doubted", function()
    for i = 1, 300 do assert(dict.write_route(dicts, ("r%d.example"):format(i), route("b\n10.0.0.1:" .. i))) end
    dict.delete_route(dicts, "r7.example")
    changes.revise(dicts.state)
    keep()
    local state = keeper.state_of(dicts.state)
    assert.equal(299, state.written.count)
    assert.equal(#slurp(path), state.written.bytes)
    assert.equal(0, state.served)

    forget_all()
    keeper.load(config(), dicts)
    assert.equal(299, names.count(dicts.names))
    assert.is_nil(dict.read_route(dicts, "r7.example"))
    for i = 8, 300 do
      local stored = dict.read_route(dicts, ("r%d.example"):format(i))
      assert.equal("b\n10.0.0.1:" .. i, stored.text)
      assert.equal(1700000000.25, stored.loaded)
      assert.is_true(stored.fresh < 0)
      assert.equal(0, stored.epoch)
      assert.equal(0, stored.stamp)
    end
    -- What is gone is not believed gone before all was checked.
    assert.is_false(trust.believes_losses(dicts.state))
    assert.equal(299, keeper.state_of(dicts.state).served)
    guard.note_checked(dicts.state, trust.begin_epoch(dicts.state))
    assert.equal(0, keeper.state_of(dicts.state).served)
  end)

  -- A route that was deleted and learnt again while the file was written stands in it as it was and as it is.
  it("has what it says last of a name that it has twice", function()
    write({ { "R", "a.example", 1, "before" }, { "R", "b.example", 1, "b" }, { "R", "a.example", 2, "after" } }, 2)
    keeper.load(config(), dicts)
    assert.equal("after", dict.read_route(dicts, "a.example").text)
    assert.equal("b", dict.read_route(dicts, "b.example").text)
    assert.equal(2, names.count(dicts.names))
  end)

  it("is written when something has changed, and not again", function()
    assert(dict.write_route(dicts, "a.example", route("b")))
    changes.revise(dicts.state)
    keep()
    os.remove(path)
    keep()
    assert.is_nil(io.open(path))
    changes.revise(dicts.state)
    keep()
    assert.equal(1, (read()).count)
    -- At most every ten seconds.
    changes.revise(dicts.state)
    local kept = keep()
    os.remove(path)
    changes.revise(dicts.state)
    keeper.tick(kept)
    assert.is_false(kept.busy)
  end)

  it("is written anew before it is too old for a start, though nothing has changed", function()
    assert(dict.write_route(dicts, "a.example", route("b")))
    changes.revise(dicts.state)
    keep(config { snapshot_max_age = 3600 })
    dicts.state:set("snapshot:written", ("%d 100 1"):format(ngx.time() - 1000))
    os.remove(path)
    keep()
    assert.is_nil(io.open(path))
    keep(config { snapshot_max_age = 3600 })
    assert.equal(1, (read()).count)
  end)

  it("is not brought back where routes are known, or all were taken away", function()
    write(RECORDS, 2)
    assert(dict.write_route(dicts, "a.example", route("b")))
    keeper.load(config(), dicts)
    assert.equal(1, names.count(dicts.names))
    dict.delete_route(dicts, "a.example")
    keeper.load(config(), dicts)
    assert.equal(0, names.count(dicts.names))
  end)

  it("of another node's layout stays as it is until there is something to write", function()
    write(RECORDS, 2)
    local whole = slurp(path)
    local other = config { redis_url = { db = 3 } }
    keeper.load(other, dicts)
    assert.equal(0, names.count(dicts.names))
    keep(other)
    assert.equal(whole, slurp(path))
    assert(dict.write_route(dicts, "a.example", route("b")))
    changes.revise(dicts.state)
    keep(other)
    assert.not_equal(whole, slurp(path))
  end)

  it("that cannot be written is said so, until it can", function()
    local nowhere = config { snapshot = SPEC_PREFIX .. "/made-later/routes.snapshot" }
    keep(nowhere)
    assert.matches("No such file", keeper.state_of(dicts.state).failed)
    os.execute("mkdir " .. SPEC_PREFIX .. "/made-later")
    keep(nowhere)
    assert.is_nil(keeper.state_of(dicts.state).failed)
  end)

  it("is left alone by who may not write any more", function()
    for i = 1, 600 do assert(dict.write_route(dicts, ("r%d.example"):format(i), route("b"))) end
    changes.revise(dicts.state)
    local looks = 0
    keep(nil, function()
      looks = looks + 1
      return looks < 3
    end)
    assert.equal(3, looks)
    assert.is_nil(io.open(path))
    assert.is_nil(io.open(path .. ".tmp"))
  end)
end)
