local read_config = require("resty.switchboard.config").read_config
local wishes_of = require("resty.switchboard.route.wanted").wishes_of

local config = read_config({}, 2)

local function wishes(name, policy, instances)
  return wishes_of(config, name, "text", { instances = instances, options = { policy = policy } })
end

local function instance(fields)
  local one = { tls = false, host = "10.0.0.5", port = 8080, weight = 1, drain = false }
  for key, value in pairs(fields or {}) do one[key] = value end
  return one
end

local function patient(name, policy, fields)
  policy.check = policy.check or "http:/h"
  return wishes(name, policy, { instance(fields) }).list[1].wanted.patient
end

describe("the checks that a route wants", function()
  it("are none without the option", function()
    assert.is_nil(wishes("a.example", nil, { instance() }))
    assert.is_nil(wishes("a.example", { check_status = "200" }, { instance() }))
    assert.is_nil(wishes("a.example", { check = "off" }, { instance() }))
  end)

  it("are one of each address", function()
    local found = wishes("a.example", { check = "tcp", check_always = "on" }, {
      instance(), instance { host = "2001:db8::1" }, instance { host = "web.internal", addresses = { "10.0.0.6", "10.0.0.7" } },
      instance { host = "gone.internal", addresses = {} },
    })
    local identities = {}
    for i, wish in ipairs(found.list) do identities[i] = wish.wanted.patient.identity end
    assert.same({ "http://10.0.0.5:8080", "http://[2001:db8::1]:8080", "http://10.0.0.6:8080", "http://10.0.0.7:8080" }, identities)
    assert.equal("[2001:db8::1]", found.list[2].wanted.patient.address)
    assert.is_true(found.always)
  end)

  it("are the same for routes that ask the same of an instance, and other ones where they do not", function()
    local function key(name, policy) return wishes(name, policy, { instance() }).list[1].wanted.key end
    assert.equal(key("a.example", { check = "http:/h" }), key("b.example", { check = "http:/h", check_always = "on" }))
    assert.are_not.equal(key("a.example", { check = "http:/h" }), key("a.example", { check = "http:/" }))
    assert.are_not.equal(key("a.example", { check = "http:/h" }), key("a.example", { check = "http:/h", check_status = "200" }))
    assert.are_not.equal(key("a.example", { check = "http:/h" }), key("a.example", { check = "http:/h", check_body = "x" }))
  end)

  it("have the Host that requests have", function()
    for name, host in pairs {
      ["a.example"] = "a.example", ["a.example/api"] = "a.example", ["a.example/api#@shop"] = "a.example", ["*.a.example"] = "a.example",
      ["*"] = "10.0.0.5:8080", ["10.0.0.1"] = "10.0.0.1", ["2001:db8::1"] = "[2001:db8::1]", ["a.example%hipache"] = "a.example",
      ["a.example:81"] = "a.example:81",
    } do
      assert.equal(host, patient(name, {}).host, name)
    end
    assert.equal("10.0.0.5:8080", patient("a.example", { host_header = "upstream" }).host)
    assert.equal("web.internal:8080", patient("a.example", { host_header = "upstream" }, { tls = true, host = "web.internal", addresses = { "10.0.0.6" } }).host)
    assert.equal("other.example", patient("a.example", { host_header = "other.example" }).host)
    assert.equal("a.example", patient("a.example", { host_header = "preserve" }).host)
  end)

  it("have the SNI that requests have", function()
    assert.is_nil(patient("a.example", {}).server_name)
    assert.equal("a.example", patient("a.example/api", {}, { tls = true }).server_name)
    assert.equal("a.example", patient("a.example:81", {}, { tls = true }).server_name)
    assert.equal("web.internal", patient("a.example", {}, { tls = true, host = "web.internal", addresses = { "10.0.0.6" } }).server_name)
    assert.is_nil(patient("10.0.0.1", {}, { tls = true }).server_name)
    assert.is_nil(patient("*", {}, { tls = true }).server_name)
  end)
end)
