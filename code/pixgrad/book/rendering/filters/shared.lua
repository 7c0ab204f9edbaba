-- What the filters of the formats share.

local shared = {}

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

-- Lays out an element: its code stays above, then come the rows, then what found no place. A cell is
-- made by panel(content, width, row), a row by line(cells, row), where `row` lists relative widths, a
-- negative one for empty space. Without a layout nothing happens. The attributes are used up.
function shared.lay_out(element, panel, line)
  local result, cells = pandoc.Blocks {}, pandoc.Blocks {}
  for _, block in ipairs(element.content) do
    local is_code = block.t == 'CodeBlock' and block.classes:includes 'cell-code'
    if is_code then result:insert(block) else cells:insert(block) end
  end
  if #cells == 1 and cells[1].t == 'Para' then -- pictures of one paragraph are cells, too
    local images = cells[1].content:filter(function(inline) return inline.t == 'Image' end)
    cells = images:map(function(image) return pandoc.Plain { image } end)
  end
  local rows = row_widths(element.attributes, #cells)
  for _, name in ipairs { 'layout', 'layout-ncol', 'layout-nrow' } do
    element.attributes[name] = nil
  end
  if not rows then return end
  for _, row in ipairs(rows) do
    local panels = pandoc.Blocks {}
    for _, width in ipairs(row) do
      local is_gap = width < 0 or #cells == 0
      panels:insert(panel(is_gap and {} or { cells:remove(1) }, math.abs(width), row))
    end
    result:insert(line(panels, row))
  end
  element.content = result .. cells
  return element
end

-- Takes the leading Div of a class out of the blocks; its content, or nil.
function shared.take(blocks, class)
  local first = blocks[1]
  if first and first.t == 'Div' and first.classes:includes(class) then
    return blocks:remove(1).content
  end
end

-- A note beside the text: Quarto has two names for it.
function shared.is_aside(element)
  return element.classes:includes 'column-margin' or element.classes:includes 'aside'
end

-- The pictures of a paragraph that holds nothing else, or nil.
function shared.only_images(block)
  if block.t ~= 'Para' and block.t ~= 'Plain' then return end
  local images = pandoc.List {}
  for _, inline in ipairs(block.content) do
    if inline.t == 'Image' then images:insert(inline)
    elseif inline.t ~= 'Space' and inline.t ~= 'SoftBreak' then return end
  end
  return #images > 0 and images or nil
end

-- Words for screen readers alone have no place in a notebook.
function shared.without_hidden(span)
  if span.classes:includes 'visually-hidden' then return {} end
end

return shared
