-- Rows of pictures: what html.lua and typst.lua share.

local function row_widths(attributes, count)
  if attributes.layout then
    local given = pandoc.json.decode(attributes.layout, false)
    return type(given[1]) == 'table' and given or { given }
  end
  local columns, rows = attributes['layout-ncol'], attributes['layout-nrow']
  columns = tonumber(columns) or rows and math.ceil(count / tonumber(rows))
  if not columns then return end
  local widths = {}
  for row = 1, math.ceil(count / columns) do
    widths[row] = {}
    for column = 1, columns do widths[row][column] = 1 end
  end
  return widths
end

-- The code of an element, the cells below it, and the rows: lists of the cells' relative widths, a
-- negative one for empty space. No rows: no layout is asked for. The attributes are used up.
return function(element)
  local code, cells = pandoc.Blocks {}, pandoc.Blocks {}
  for _, block in ipairs(element.content) do
    local is_code = block.t == 'CodeBlock' and block.classes:includes 'cell-code'
    if is_code then code:insert(block) else cells:insert(block) end
  end
  if #cells == 1 and cells[1].t == 'Para' then -- pictures of one paragraph are cells, too
    local images = cells[1].content:filter(function(inline) return inline.t == 'Image' end)
    cells = images:map(function(image) return pandoc.Plain { image } end)
  end
  local rows = row_widths(element.attributes, #cells)
  for _, name in ipairs { 'layout', 'layout-ncol', 'layout-nrow' } do
    element.attributes[name] = nil
  end
  return code, cells, rows
end
