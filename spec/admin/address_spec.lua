local address = require("resty.switchboard.admin.address")

describe("the address of an instance", function()
  it("is one as it stands in Redis, or its identity", function()
    for text, identity in pairs({
      ["10.0.0.5:8080"] = "http://10.0.0.5:8080",
      ["http://10.0.0.5:8080"] = "http://10.0.0.5:8080",
      ["https://10.0.0.5:443"] = "https://10.0.0.5:443",
      ["[FD00::0005]:80"] = "http://[fd00::5]:80",
      ["https://[::1]:65535"] = "https://[::1]:65535",
    }) do
      assert.equal(identity, address.identity_of_text(text))
      assert.equal(identity, address.identity_of_text(address.short_of(identity)))
    end
  end)

  it("is nothing else", function()
    for _, text in ipairs({
      "", ":", "10.0.0.5", "10.0.0.5:", "10.0.0.5:0", "10.0.0.5:65536", "10.0.0.5:8080x", "::1:80", "[10.0.0.5]:80",
      "app.internal:80", "ftp://10.0.0.5:80", "10.0.0.5:80/../x", "^http://10.0.0.5:80", "10.0.0.5:80\n", "http://http://10.0.0.5:80",
    }) do
      assert.is_nil(address.identity_of_text(text), text)
    end
  end)
end)
