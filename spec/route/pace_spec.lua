local pace = require("resty.switchboard.route.pace")

describe("the pace at which all names are read", function()
  local requests, running, most
  local real_clock = os.clock

  --- CPU time passes as this says, whatever else the machine does. @return lets it pass
  local function stop_clock()
    local now = 0
    os.clock = function() return now end
    return function(seconds) now = now + seconds end
  end

  local function burn(seconds)
    local began = os.clock()
    while os.clock() - began < seconds do end
  end

  local function read()
    running = running + 1
    most = math.max(most, running)
    ngx.sleep(0.002)
    running = running - 1
  end

  local function create()
    return pace.create({}, function() return true end, function() return requests end)
  end

  --- Reads some batches. @return how large the last one was
  local function read_some(one, count, busy, work)
    local size
    for _ = 1, count do
      if busy then requests = requests + 1 end
      size = pace.batch_of(one)
      pace.begin(one, work)
    end
    pace.finish(one)
    return size
  end

  before_each(function()
    requests, running, most = 0, 0, 0
    ngx.update_time()
  end)

  after_each(function()
    os.clock = real_clock
  end)

  it("has two batches on their way while this worker has no requests", function()
    read_some(create(), 6, false, read)
    assert.equal(0, running)
    assert.equal(2, most)
  end)

  it("has one at a time while it has some, and none within a millisecond of the last", function()
    read_some(create(), 6, true, read)
    assert.equal(1, most)
    local one = create()
    local began = ngx.now()
    read_some(one, 20, true, function() end)
    ngx.update_time()
    assert.is_true(ngx.now() - began >= 0.018)
  end)

  it("is that of a busy worker until there was no request for a while", function()
    local one = create()
    one.batch = 64
    read_some(one, 1, true, function() end)
    -- Between two requests there is often none.
    assert.is_true(read_some(one, 5, false, function() end) <= 20)
    assert.is_true(one.busy)
    local busy_until = ngx.now() + 1
    repeat
      read_some(one, 1, false, function() end)
    until not one.busy or ngx.now() > busy_until
    assert.is_false(one.busy)
    assert.is_true(pace.batch_of(one) > 20)
  end)

  it("gives others their turn after each step of a busy worker", function()
    local one, turns = create(), 0
    read_some(one, 1, true, function() end)
    for i = 1, 10 do
      ngx.timer.at(0, function() turns = turns + 1 end)
      pace.rest(one)
      assert.equal(i, turns)
    end
  end)

  it("is slow at first, and makes batches larger while they are short", function()
    local spend = stop_clock()
    local one = create()
    assert.equal(8, pace.batch_of(one))
    local size = read_some(one, 40, false, function() spend(0.0012) end)
    assert.is_true(size > 8, size)
    assert.is_true(size <= 64, size)
    requests = requests + 1
    assert.is_true(read_some(one, 40, true, function() spend(0.0012) end) <= 25)
  end)

  it("makes them smaller where they are long", function()
    local spend = stop_clock()
    local one = create()
    one.batch = 64
    assert.equal(8, read_some(one, 8, false, function() spend(0.005) end))
  end)

  it("ends where a batch cannot be read: its names are not", function()
    local one = create()
    local ok, err = pcall(read_some, one, 3, false, function() error("not this one", 0) end)
    assert.is_false(ok)
    assert.equal("not this one", err)
  end)

  it("gives others their turn also where nothing has to be waited for", function()
    local turns, going = 0, true
    local thread = ngx.thread.spawn(function()
      while going do
        ngx.sleep(0.001)
        turns = turns + 1
      end
    end)
    read_some(create(), 12, false, function() burn(0.0012) end)
    going = false
    ngx.thread.wait(thread)
    assert.is_true(turns >= 10, turns)
  end)
end)
