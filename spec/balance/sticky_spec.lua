local peers = require("balance.peers")
local sticky = require("resty.switchboard.balance.sticky")

local function create(list, secret, path, max_age) return sticky.create(list, secret or "", "session", path or "/", max_age) end

describe("a session cookie", function()
  it("is the same for the same instance, key and algorithm, in every worker and on every node", function()
    local list = peers.make({ 1 }, function() return { state = { identity = "http://10.0.0.5:8080" } } end)
    -- printf %s http://10.0.0.5:8080 | openssl dgst -sha1 -hmac KEY | cut -c 1-16
    assert.equal("c96b0af781806f8f", create(list, "").values[list[1]])
    assert.equal("e32abc90870154f6", create(list, "secret").values[list[1]])
  end)

  it("leads back to its instance, and to none by any other text", function()
    local list = peers.even(500)
    local made = create(list)
    local seen = {}
    for _, peer in ipairs(list) do
      local value = made.values[peer]
      assert.is_truthy(value:find("^%x+$") and #value == 16)
      assert.is_nil(seen[value])
      seen[value] = true
      assert.equal(peer, made.peers[value])
      assert.is_nil(made.peers[value:upper() .. "0"])
      assert.is_nil(made.peers[value:sub(1, 15)])
    end
    assert.is_nil(made.peers[""])
  end)

  it("tells no address", function()
    local list = peers.even(1)
    assert.is_nil(create(list).values[list[1]]:find(list[1].address, 1, true))
  end)

  it("belongs to the path of its route, and lasts as long as is said", function()
    assert.equal("; Path=/; HttpOnly; SameSite=Lax", create(peers.even(1)).attributes)
    assert.equal("; Path=/api; Max-Age=90; HttpOnly; SameSite=Lax", create(peers.even(1), "", "/api", 90.5).attributes)
  end)
end)
