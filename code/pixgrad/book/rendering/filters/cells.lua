-- What crossref.lua does with code before anything is numbered.

local config = pandoc.json.decode(os.getenv 'PIXGRAD_CHAPTER', false)
local shared = dofile(pandoc.path.join { pandoc.path.directory(PANDOC_SCRIPT_FILE), 'shared.lua' })

-- Notes on lines of code: «x = 1  # <1>» and a numbered list below -----------------------------

local MARKS = { '#', '//', '%-%-', '%%', ';', "'", '!' }

local function unmarked(code) -- the code without its marks; number -> lines; "number:line …"
  local lines, noted, places = pandoc.List {}, {}, pandoc.List {}
  for line in (code .. '\n'):gmatch '(.-)\n' do
    local rest, number = line:match '^(.-)%s*<!%-%-%s*<(%d+)>%s*%-%->%s*$'
    if not rest then rest, number = line:match '^(.-)%s*/%*%s*<(%d+)>%s*%*/%s*$' end
    for _, mark in ipairs(MARKS) do
      if not rest then rest, number = line:match('^(.-)%s*' .. mark .. '%s*<(%d+)>%s*$') end
    end
    lines:insert(rest or line)
    if number then
      if not noted[number] then places:insert(number .. ':' .. #lines) end
      noted[number] = (noted[number] and noted[number] .. ', ' or '') .. #lines
    end
  end
  return table.concat(lines, '\n'), next(noted) and noted, table.concat(places, ' ')
end

-- The list of notes below code, each led by the lines it is about.
local function code_notes(list, noted)
  for number, item in ipairs(list.content) do
    local lines, first = noted[tostring(number)], item[1]
    if first and first.content then
      local word = config.titles[lines and lines:match ',' and 'code-lines' or 'code-line']
      first.content:insert(1, pandoc.Emph(lines and word .. ' ' .. lines .. ': ' or ''))
    end
  end
  return pandoc.Div({ list }, pandoc.Attr('', { 'code-annotations' }))
end

-- Code keeps its notes beside it (`annotated`), before what it puts out.
local function annotate(blocks)
  local result = pandoc.Blocks {}
  for index, block in ipairs(blocks) do
    local list, noted = blocks[index + 1], nil
    local single = pandoc.Blocks({ block }):walk {
      CodeBlock = function(code)
        local text, found, places = unmarked(code.text)
        if not found then return end
        code.text = text
        if list and list.t == 'OrderedList' and not noted then
          noted, code.attributes.annotated = found, places
        end
        return code
      end,
    }
    if noted then
      table.remove(blocks, index + 1)
      single = single:walk {
        Blocks = function(inner)
          for place, code in ipairs(inner) do
            if code.t == 'CodeBlock' and code.attributes.annotated and noted then
              inner:insert(place + 1, code_notes(list, noted))
              noted = nil
              return inner
            end
          end
        end,
      }
    end
    result:extend(single)
  end
  return result, false
end

-- Cells ---------------------------------------------------------------------------------------

-- A cell that is only shown is its text with the fence: ```{{python}} stands for ```{python}.
local function shown_cell(element)
  local fence = element.attributes.fence
  element.attributes.fence = nil
  if fence then
    element.text = fence .. '\n' .. element.text .. '\n' .. fence:match '^[`~]+'
  elseif element.classes:includes 'cell-code' and element.text:match '^`+{{' then
    element.text = element.text:gsub('^(`+){({[^\n]*})}', '%1%2')
    element.classes:insert(1, 'markdown')
  else
    return
  end
  return element
end

-- The name of a cell's file belongs to its code.
local function file_of_cell(element)
  local file = element.classes:includes 'cell' and element.attributes.filename
  if not file then return end
  element.attributes.filename = nil
  for _, block in ipairs(element.content) do
    if block.t == 'CodeBlock' and block.classes:includes 'cell-code' then
      block.attributes.filename = file
    end
  end
  return element
end

-- Of a cell whose outputs stand in the margin, the code stays in the text.
local function code_beside(element)
  if not element.classes:includes 'cell' or not shared.is_aside(element) then return end
  local code, outputs = pandoc.Blocks {}, pandoc.Blocks {}
  for _, block in ipairs(element.content) do
    local is_code = block.t == 'CodeBlock' and block.classes:includes 'cell-code'
    if is_code then code:insert(block) else outputs:insert(block) end
  end
  if #code == 0 then return end
  element.content = outputs
  return code .. { element }
end

return {
  annotate = annotate,
  shown_cell = shown_cell,
  file_of_cell = file_of_cell,
  code_beside = code_beside,
}
