local varint = require("resty.switchboard.route.varint")

describe("a number as bytes", function()
  it("comes back, with what follows it in its place", function()
    math.randomseed(4)
    local numbers = { 0, 1, 127, 128, 255, 16383, 16384, 2097151, 2097152, 2 ^ 31, 2 ^ 32, 2 ^ 40, 2 ^ 53 - 1 }
    for i = 0, 52 do numbers[#numbers + 1] = math.random(2 ^ i) end
    local all = {}
    for i, number in ipairs(numbers) do all[i] = varint.put(number) end
    local bytes, at = table.concat(all) .. "\0", 1
    for _, number in ipairs(numbers) do
      local found, after = varint.take(bytes, at)
      assert.equal(number, found)
      at = after
    end
    assert.equal(#bytes, at)
  end)

  it("takes one byte below 128, two below 16,384", function()
    assert.same({ 1, 1, 2, 2, 3 }, { #varint.put(0), #varint.put(127), #varint.put(128), #varint.put(16383), #varint.put(16384) })
  end)
end)
