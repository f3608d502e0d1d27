local check = require("resty.switchboard.schema.check")
local make_policy = require("resty.switchboard.route.policy").make_policy
local options = require("resty.switchboard.schema.options")

local function set(name, value)
  local found = {}
  return options.set_option(found, name, value), found
end

describe("options about checks", function()
  for _, case in ipairs {
    { "check", "off" }, { "check", "tcp" }, { "check", "http:/" }, { "check", "http:/health?deep=1&x=%20" },
    { "check_status", "200" }, { "check_status", "200-299, 401,503" }, { "check_status", "100-599" },
    { "check_body", "ok" }, { "check_body", '{"status": "ÜP"}' }, { "check_timeout", "250ms" }, { "check_timeout", "10" },
    { "check_always", "on" },
  } do
    it(("take %s %q, and cost requests nothing"):format(case[1], case[2]), function()
      local problem, found = set(case[1], case[2])
      assert.is_nil(problem)
      assert.same({ [case[1]] = case[2] }, found.policy)
      assert.is_nil(make_policy(found.policy, "a.example"))
    end)
  end

  for _, case in ipairs {
    { "check", "", "tcp" }, { "check", "on", "tcp" }, { "check", "http:health", "http:/health" }, { "check", "https:/x", "tcp" },
    { "check", "http:/a b", "http:/health" }, { "check", "http:/a\r\nX: y", "http:/health" }, { "check", "http:/" .. ("x"):rep(1024), "1024" },
    { "check_status", "", "200-299" }, { "check_status", "99", "200-299" }, { "check_status", "600", "200-299" },
    { "check_status", "299-200", "200-299" }, { "check_status", "2xx", "200-299" }, { "check_status", "200-2999", "200-299" },
    { "check_status", ("200,"):rep(20) .. "200", "20" },
    { "check_body", "", "256" }, { "check_body", "a\nb", "one line" }, { "check_body", ("x"):rep(257), "256" },
    { "check_timeout", "0", "10ms" }, { "check_timeout", "11s", "10s" }, { "check_timeout", "soon", "10ms" }, { "check_always", "yes", "on or off" },
  } do
    it(("leave out %s %q, and say why"):format(case[1], case[2]:sub(1, 20)), function()
      local problem, found = set(case[1], case[2])
      assert.is_truthy(problem and problem:find(case[3], 1, true), problem)
      assert.is_nil(found.policy)
    end)
  end

  it("say together what is checked", function()
    assert.is_nil(check.check_of(nil))
    assert.is_nil(check.check_of({}))
    assert.is_nil(check.check_of({ check = "off", check_always = "on" }))
    assert.same({ label = "tcp", statuses = { { 200, 299 } }, timeout = 1, always = false }, check.check_of({ check = "tcp" }))
    assert.same(
      { label = "http:/h", path = "/h", statuses = { { 200, 204 }, { 401, 401 } }, body = "ok", timeout = 0.5, always = true },
      check.check_of({ check = "http:/h", check_status = "200-204,401", check_body = "ok", check_timeout = "500ms", check_always = "1" })
    )
  end)
end)
