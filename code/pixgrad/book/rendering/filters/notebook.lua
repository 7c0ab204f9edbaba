-- A numbered chapter (see crossref.lua, which runs first, and citeproc) -> cells of a notebook.
--
-- The cells' outputs come wrapped in `::: {.notebook-cell number=3}`. The document leaves empty, with
-- the list of cells as JSON in meta.notebook:
--   {type: "markdown", text}
--   {type: "code", number, outputs: [{type: "stdout"|"stderr"|"error"|"text"|"html"|"markdown", text,
--    count} or {type: "image", src, alt}]}
-- The markdown has no Quarto or pandoc syntax left: it is what Jupyter, Colab and GitHub show.
-- Addresses of pictures are marked with `pixgrad-image:`; the caller puts the pictures in.
-- $PIXGRAD_CHAPTER has besides what crossref.lua needs: `site`, the address of the chapter's folder
-- on the published site, or "".

local config = pandoc.json.decode(os.getenv 'PIXGRAD_CHAPTER', false)
local stringify = pandoc.utils.stringify

local CALLOUTS = { 'note', 'tip', 'warning', 'important', 'caution' }
local MARKDOWN = 'gfm-tex_math_gfm+tex_math_dollars'
local STREAMS = { 'stdout', 'stderr', 'error' }

local result = pandoc.List {}
local pending = pandoc.Blocks {}
local notes = pandoc.List {}

local function is_callout(div)
  for _, name in ipairs(CALLOUTS) do
    if div.classes:includes('callout-' .. name) then return true end
  end
end

-- 1. Inlines ----------------------------------------------------------------------------------

local function is_local(target)
  return not target:match '^%a[%w+.-]*:' and not target:match '^//'
end

local function is_shown(raw)
  return raw.format == 'html' and not raw.text:match '^%s*<!%-%-'
end

local function link(element)
  if element.classes:includes 'quarto-xref' then return element.content end
  if not is_local(element.target) then
    element.attr = pandoc.Attr()
    return element
  end
  local page = element.target:match '^[^#]*'
  if config.site == '' or page == '' then return element.content end
  element.target = config.site .. element.target:gsub('^([^#]*)%.qmd', '%1.html')
  element.target = element.target:gsub('[^/]+/%.%./', '')
  element.attr = pandoc.Attr()
  return element
end

local function image(element)
  local alt = element.attributes['fig-alt']
  local source = is_local(element.src) and 'pixgrad-image:' .. element.src or element.src
  return pandoc.Image(alt and { pandoc.Str(alt) } or element.caption, source)
end

local plain -- forward

local inlines = {
  Span = function(element)
    if not element.classes:includes 'equation' then return element.content end
    local math = element.content[1]
    math.text = math.text:gsub('%s+$', '') .. '\n\\tag{' .. element.attributes.number .. '}\n'
    return math
  end,
  Cite = function(element) return element.content end,
  Link = link,
  Image = image,
  RawInline = function(element)
    if not is_shown(element) then return {} end
  end,
  Note = function(element)
    notes:insert(element.content)
    return pandoc.Superscript { pandoc.Str(tostring(#notes)) }
  end,
}

local function to_markdown(blocks)
  local text = pandoc.write(
    pandoc.Pandoc(plain(blocks):walk(inlines)),
    MARKDOWN,
    pandoc.WriterOptions { wrap_text = 'none' }
  )
  return (text:gsub('%s+$', ''))
end

-- 2. Blocks -----------------------------------------------------------------------------------

local function bold(content)
  return pandoc.Para { pandoc.Strong(content) }
end

local function caption_of(figure)
  local text = pandoc.utils.blocks_to_inlines(figure.caption.long)
  local kind, number = figure.classes[2], figure.attributes.number
  local parts = pandoc.List {}
  figure.content:walk {
    Figure = function(inner)
      if not inner.classes:includes 'subfloat' then return end
      local part = pandoc.Inlines { pandoc.Str('(' .. inner.attributes.number .. ')') }
      local own = pandoc.utils.blocks_to_inlines(inner.caption.long)
      if #own > 0 then part = part .. { pandoc.Space() } .. own end
      parts:insert(part)
    end,
  }
  local line = pandoc.Inlines {}
  if number then
    line:insert(pandoc.Strong { pandoc.Str(config.titles[kind] .. '\u{a0}' .. number .. '.') })
    if #text > 0 then line:insert(pandoc.Space()) end
  end
  line:extend(text)
  for index, part in ipairs(parts) do
    line:extend(index == 1 and { pandoc.Str ':', pandoc.Space() } or { pandoc.Str ';', pandoc.Space() })
    line:extend(part)
  end
  return #line > 0 and pandoc.Blocks { pandoc.Para(line) } or pandoc.Blocks {}
end

local function take_title(div, class)
  local first = div.content[1]
  if first and first.t == 'Div' and first.classes:includes(class) then
    div.content:remove(1)
    return pandoc.utils.blocks_to_inlines(first.content)
  end
end

local function theorem_title(div)
  local kind = div.classes:includes 'theorem' and div.identifier:match '^%a+'
  for _, name in ipairs { 'proof', 'remark', 'solution' } do
    if div.classes:includes(name) then kind = name end
  end
  if not kind then return end
  local title = pandoc.Inlines(config.titles[kind])
  if div.attributes.number then title:insert(pandoc.Str('\u{a0}' .. div.attributes.number)) end
  local name = take_title(div, 'theorem-title')
  if name then title = title .. { pandoc.Space(), pandoc.Str '(' } .. name .. { pandoc.Str ')' } end
  title:insert(pandoc.Str '.')
  return title
end

-- A div as sections {title (or nil), content}: callouts, theorems and tabs have titles.
local function sections(div)
  if is_callout(div) then
    return { { title = take_title(div, 'callout-title'), content = div.content[1].content } }
  end
  if div.classes:includes 'panel-tabset' then
    local tabs = pandoc.List {}
    for _, tab in ipairs(div.content) do
      tabs:insert { title = take_title(tab, 'tab-title'), content = tab.content }
    end
    return tabs
  end
  return { { title = theorem_title(div), content = div.content } }
end

local function bibliography(div)
  local entries = pandoc.List {}
  for _, entry in ipairs(div.content) do entries:insert(entry.content) end
  if #entries == 0 then return pandoc.Blocks {} end
  return pandoc.Blocks { pandoc.Header(2, 'Литература'), pandoc.BulletList(entries) }
end

local function heading(element)
  local number = element.attributes.number
  local content = element.content
  if number then content = pandoc.Inlines { pandoc.Str(number), pandoc.Space() } .. content end
  return pandoc.Header(element.level, content)
end

local function table_of(element)
  local caption = pandoc.utils.blocks_to_inlines(element.caption.long)
  element.caption = { long = {} }
  element.attr = pandoc.Attr()
  element = element:walk { -- a bare | would end the cell
    Math = function(math)
      math.text = math.text:gsub('\\|', '\\Vert '):gsub('|', '\\vert ')
      return math
    end,
    Code = function(code)
      code.text = code.text:gsub('|', '\\|')
      return code
    end,
  }
  local blocks = pandoc.Blocks { element }
  if #caption > 0 then blocks:insert(pandoc.Para(caption)) end
  return blocks
end

local handlers = {
  Div = function(element)
    if element.identifier == 'refs' then return bibliography(element) end
    local blocks = pandoc.Blocks {}
    for _, section in ipairs(sections(element)) do
      if section.title then blocks:insert(bold(section.title)) end
      blocks:extend(plain(section.content))
    end
    return is_callout(element) and pandoc.Blocks { pandoc.BlockQuote(blocks) } or blocks
  end,
  Figure = function(element)
    local content = plain(element.content)
    if element.classes:includes 'subfloat' then return content end
    local caption = caption_of(element)
    return element.classes[2] == 'lst' and caption .. content or content .. caption
  end,
  Table = table_of,
  Header = heading,
  CodeBlock = function(element)
    local language = element.classes:filter(function(class) return not class:match 'cell%-code' end)
    return pandoc.CodeBlock(element.text, pandoc.Attr('', { language[1] }))
  end,
  RawBlock = function(element) return is_shown(element) and element or {} end,
  BlockQuote = function(element) return pandoc.BlockQuote(plain(element.content)) end,
  BulletList = function(element)
    element.content = element.content:map(plain)
    return element
  end,
  OrderedList = function(element)
    element.content = element.content:map(plain)
    return element
  end,
}

function plain(blocks)
  local done = pandoc.Blocks {}
  for _, block in ipairs(blocks) do
    local handler = handlers[block.t]
    local made = handler and handler(block) or block
    if pandoc.utils.type(made) == 'Block' then done:insert(made) else done:extend(made) end
  end
  return done
end

-- 3. Outputs of a cell ------------------------------------------------------------------------

local function only_images(block)
  if block.t ~= 'Para' and block.t ~= 'Plain' then return end
  local images = pandoc.List {}
  for _, inline in ipairs(block.content) do
    if inline.t == 'Image' then images:insert(inline)
    elseif inline.t ~= 'Space' and inline.t ~= 'SoftBreak' then return end
  end
  return #images > 0 and images or nil
end

local function collect(blocks, outputs, captions, count)
  local text = pandoc.Blocks {}
  local function flush_text()
    if #text > 0 then outputs:insert { type = 'markdown', text = to_markdown(text), count = count } end
    text = pandoc.Blocks {}
  end
  local function display(block)
    local images = only_images(block)
    if images then
      flush_text()
      for _, one in ipairs(images) do
        local alt = one.attributes['fig-alt'] or stringify(one.caption)
        outputs:insert { type = 'image', src = one.src, alt = alt }
      end
    elseif block.t == 'CodeBlock' then
      flush_text()
      if not block.classes:includes 'cell-code' then
        outputs:insert { type = 'text', text = block.text, count = count }
      end
    elseif block.t == 'RawBlock' and block.format == 'html' then
      flush_text()
      outputs:insert { type = 'html', text = block.text, count = count }
    elseif block.t == 'Figure' then
      flush_text()
      collect(block.content, outputs, captions, count)
      if not block.classes:includes 'subfloat' then captions:extend(caption_of(block)) end
    elseif block.t == 'Div' and not is_callout(block) and not block.classes:includes 'panel-tabset'
      and not block.classes:includes 'theorem' then
      flush_text()
      local own = block.attributes['execution_count']
      for _, stream in ipairs(STREAMS) do
        if block.classes:includes('cell-output-' .. stream) then
          local lines = block.content:map(function(b) return b.text end)
          outputs:insert { type = stream, text = table.concat(lines, '\n') .. '\n' }
          return
        end
      end
      if block.classes:includes 'cell-output-markdown' then
        outputs:insert { type = 'markdown', text = to_markdown(block.content), count = own }
      else
        collect(block.content, outputs, captions, block.classes:includes 'cell-output' and own or nil)
      end
    else
      text:insert(block)
    end
  end
  for _, block in ipairs(blocks) do display(block) end
  flush_text()
end

-- 4. The sequence of cells --------------------------------------------------------------------

local function flush()
  local text = to_markdown(pending)
  if text ~= '' then result:insert { type = 'markdown', text = text } end
  pending = pandoc.Blocks {}
end

local function is_cell(block)
  return block.t == 'Div' and block.classes:includes 'notebook-cell'
end

local function has_cell(block)
  local found = false
  block:walk { Div = function(div) found = found or is_cell(div) end }
  return found or is_cell(block)
end

local function emit_cell(div)
  local outputs, captions = pandoc.List {}, pandoc.Blocks {}
  collect(div.content, outputs, captions)
  flush()
  result:insert {
    type = 'code',
    number = tonumber(div.attributes.number),
    outputs = #outputs > 0 and outputs or nil,
  }
  pending:extend(captions)
end

local function emit(blocks)
  for _, block in ipairs(blocks) do
    if is_cell(block) then
      emit_cell(block)
    elseif block.t == 'Header' then
      flush()
      if block.level > 1 then pending:insert(block) end -- the title cell is the caller's
    elseif not has_cell(block) then
      if block.t == 'Div' and block.identifier == 'refs' then flush() end
      pending:insert(block)
    elseif block.t == 'Div' then
      for _, section in ipairs(sections(block)) do
        if section.title then pending:insert(bold(section.title)) end
        emit(section.content)
      end
    elseif block.t == 'Figure' then
      emit(block.content)
      pending:extend(caption_of(block))
    else
      error('ячейка внутри ' .. block.t .. ' не может стать ячейкой блокнота')
    end
  end
end

function Pandoc(doc)
  local blocks, references = pandoc.Blocks {}, pandoc.Blocks {}
  for _, block in ipairs(doc.blocks) do
    local is_references = block.t == 'Div' and block.identifier == 'refs'
    if is_references then references:insert(block) else blocks:insert(block) end
  end
  emit(blocks)
  flush()
  if #notes > 0 then
    local items = pandoc.List {}
    for index = 1, #notes do items:insert(notes[index]) end
    pending:extend { pandoc.Header(2, 'Примечания'), pandoc.OrderedList(items) }
    flush()
  end
  emit(references)
  flush()
  return pandoc.Pandoc({}, { notebook = pandoc.MetaString(pandoc.json.encode(result)) })
end
