-- A numbered page (see crossref.lua, which runs first, and citeproc) -> markdown without a trace of
-- Quarto's or pandoc's syntax: what notebook.lua and github.lua share.
--
-- Called with what differs between them, it returns `plain` (blocks -> blocks), `text` (blocks ->
-- markdown) and the parts that notebook.lua takes apart itself:
--   format           pandoc's writer
--   inlines          handlers of inlines besides those below
--   image(source)    the address of a local picture
--   callout(kind, title, content)   a callout as blocks
--   above            kinds of floats whose caption stands above

local titles = pandoc.json.decode(os.getenv 'PIXGRAD_CHAPTER', false).titles
local CALLOUTS = { 'note', 'tip', 'warning', 'important', 'caution' }
local shared = dofile(pandoc.path.join { pandoc.path.directory(PANDOC_SCRIPT_FILE), 'shared.lua' })

local function is_local(target)
  return not target:match '^%a[%w+.-]*:' and not target:match '^//'
end

local function callout_kind(div)
  for _, name in ipairs(CALLOUTS) do
    if div.classes:includes('callout-' .. name) then return name end
  end
end

local function is_shown(raw)
  return raw.format == 'html' and not raw.text:match '^%s*<!%-%-'
end

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
    line:insert(pandoc.Strong { pandoc.Str(titles[kind] .. '\u{a0}' .. number .. '.') })
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
  local content = shared.take(div.content, class)
  return content and pandoc.utils.blocks_to_inlines(content)
end

local function theorem_title(div)
  local kind = div.classes:includes 'theorem' and div.identifier:match '^%a+'
  for _, name in ipairs { 'proof', 'remark', 'solution' } do
    if div.classes:includes(name) then kind = name end
  end
  if not kind then return end
  local title = pandoc.Inlines(titles[kind])
  if div.attributes.number then title:insert(pandoc.Str('\u{a0}' .. div.attributes.number)) end
  local name = take_title(div, 'theorem-title')
  if name then title = title .. { pandoc.Space(), pandoc.Str '(' } .. name .. { pandoc.Str ')' } end
  title:insert(pandoc.Str '.')
  return title
end

-- A div as sections {title (or nil), content}: callouts, theorems and tabs have titles.
local function sections(div)
  if callout_kind(div) then
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

return function(own)
  local plain -- forward

  local inlines = {
    Span = function(element)
      if shared.is_aside(element) then
        return pandoc.Inlines { pandoc.Str '(' } .. element.content .. { pandoc.Str ')' }
      end
      if not element.classes:includes 'equation' then return element.content end
      local math = element.content[1]
      math.text = math.text:gsub('%s+$', '') .. '\n\\tag{' .. element.attributes.number .. '}\n'
      return math
    end,
    Cite = function(element) return element.content end,
    Image = function(element)
      local alt = element.attributes['fig-alt']
      local source = is_local(element.src) and own.image(element.src) or element.src
      return pandoc.Image(alt and { pandoc.Str(alt) } or element.caption, source)
    end,
    RawInline = function(element)
      if not is_shown(element) then return {} end
    end,
  }
  for name, handler in pairs(own.inlines) do inlines[name] = handler end

  local function text(blocks)
    local written = pandoc.write(
      pandoc.Pandoc(plain(blocks):walk(inlines)),
      own.format,
      pandoc.WriterOptions { wrap_text = 'none' }
    )
    return (written:gsub('%s+$', ''))
  end

  local function items(list)
    list.content = list.content:map(plain)
    return list
  end

  local handlers = {
    Div = function(element)
      if element.identifier == 'refs' then return bibliography(element) end
      local kind = callout_kind(element)
      if kind then
        local section = sections(element)[1]
        return own.callout(kind, section.title, plain(section.content))
      end
      local blocks = pandoc.Blocks {}
      for _, section in ipairs(sections(element)) do
        if section.title then blocks:insert(bold(section.title)) end
        blocks:extend(plain(section.content))
      end
      return blocks
    end,
    Figure = function(element)
      local content = plain(element.content)
      if element.classes:includes 'subfloat' then return content end
      local caption = caption_of(element)
      return own.above[element.classes[2]] and caption .. content or content .. caption
    end,
    Table = table_of,
    Header = heading,
    CodeBlock = function(element)
      local language = element.classes:filter(function(class) return not class:match 'cell%-code' end)
      return pandoc.CodeBlock(element.text, pandoc.Attr('', { element.attributes.language or language[1] }))
    end,
    RawBlock = function(element) return is_shown(element) and element or {} end,
    BlockQuote = function(element) return pandoc.BlockQuote(plain(element.content)) end,
    BulletList = items,
    OrderedList = items,
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

  return {
    text = text,
    plain = plain,
    bold = bold,
    caption_of = caption_of,
    sections = sections,
    is_callout = callout_kind,
    is_local = is_local,
  }
end
