-- Cross-references, the same for every format.
--
-- The chapter comes in as Quarto markdown and leaves with one shape for each construct, numbered:
--   figure, table, listing   Figure (id; classes float + fig|tbl|lst; number="2.1"), caption without
--                            «Рисунок 2.1»; sub-figures inside: class subfloat, number="a"
--   equation                 Span (id; class equation; number="2.1") around the display Math
--   theorem and its kin      Div (id; classes theorem + thm|lem|…; number="2.1"), the name, if there
--                            is one, in a first Div of class theorem-title; .proof likewise, unnumbered
--   heading                  Header (number="2.1" unless unnumbered)
--   callout                  Div (callout-note …) of two Divs: callout-title, callout-body
--   tabset                   Div (panel-tabset) of Divs .tab, each with a first Div .tab-title
--   notes on code            CodeBlock (annotated="1:2 2:5", number:line), then Div (code-annotations)
--   @fig-x                   Link (class quarto-xref) with its text
-- content-visible and content-hidden are resolved. $PIXGRAD_CHAPTER (JSON) holds `format`, `chapter`
-- (its number or ""), `number_depth`, `titles`, `delimiter` (after the number of a caption), `floats`
-- (kinds of the book's own -> where the caption stands) and, once every chapter has been indexed, `refs`:
-- label -> {prefix, number, href}. Without `refs` this is the indexing run: only meta.record is made.
-- meta.record (JSON): what the chapter labels, refers to, cites, and what no format can show.

local config = pandoc.json.decode(os.getenv 'PIXGRAD_CHAPTER', false)
local stringify = pandoc.utils.stringify
local folder = pandoc.path.directory(PANDOC_SCRIPT_FILE)
local shared = dofile(pandoc.path.join { folder, 'shared.lua' })
local cells = dofile(pandoc.path.join { folder, 'cells.lua' })

local FLOATS = { fig = true, tbl = true, lst = true }
local THEOREMS = {}
for kind in ('thm lem cor prp cnj def exm exr rem sol alg'):gmatch '%a+' do THEOREMS[kind] = true end
local NOTES = { nte = 'note', tip = 'tip', wrn = 'warning', imp = 'important', cau = 'caution' }
for kind in pairs(config.floats or {}) do FLOATS[kind], THEOREMS[kind] = true, nil end
local UNNUMBERED = { 'proof', 'remark', 'solution' }
local CALLOUTS = { 'note', 'tip', 'warning', 'important', 'caution' }

local record = {}
for _, name in ipairs { 'labels', 'refs', 'links', 'cites', 'lost' } do record[name] = pandoc.List {} end

local function kind_of(id)
  local kind = id:match '^(%a+)%-.'
  kind = kind and kind:lower()
  if kind and (FLOATS[kind] or THEOREMS[kind] or NOTES[kind] or kind == 'eq' or kind == 'sec') then return kind end
end

local function class_among(element, prefix, names)
  for _, name in ipairs(names) do
    if element.classes:includes(prefix .. name) then return name end
  end
end

local function parse_inlines(text)
  return pandoc.utils.blocks_to_inlines(pandoc.read(text, 'markdown').blocks)
end

local function div(class, blocks)
  return pandoc.Div(blocks, pandoc.Attr('', { class }))
end

-- 1. content-visible and content-hidden -------------------------------------------------------

local CONDITIONS = { 'format', 'profile', 'meta' }

local function select(element)
  if element.classes:includes 'hidden' and config.format ~= 'html' then return {} end
  local shown = element.classes:includes 'content-visible'
  if not shown and not element.classes:includes 'content-hidden' then return end
  local is = {
    format = function(name) return name:match '^%w+' == config.format or name == 'pdf' and config.format == 'typst' end,
    profile = function(name) return pandoc.List(config.profiles or {}):includes(name) end,
    meta = function(name) return pandoc.List(config.flags or {}):includes(name) end,
  }
  local applies = true
  for _, kind in ipairs(CONDITIONS) do
    local when, unless = element.attributes['when-' .. kind], element.attributes['unless-' .. kind]
    applies = applies and (not when or is[kind](when)) and not (unless and is[kind](unless))
  end
  return applies == shown and element.content or {}
end

-- 2. One shape for each construct -------------------------------------------------------------

local function float(kind, id, caption, content, attributes)
  local attr = pandoc.Attr(id, { 'float', kind }, attributes or {})
  return pandoc.Figure(content, { pandoc.Plain(caption) }, attr)
end

local function caption_inlines(caption)
  return pandoc.utils.blocks_to_inlines(caption.long)
end

-- The caption of a labelled div: its last paragraph, else that of the one figure or table inside.
local function take_caption(body)
  local last = body[#body]
  if last and last.t == 'Para' and not shared.only_images(last) then
    body:remove()
    return last.content, body
  end
  local caption = pandoc.Inlines {}
  local function adopt(element)
    if element.identifier ~= '' or #caption > 0 then return end
    caption = caption_inlines(element.caption)
    element.caption = { long = {} }
    return element.t == 'Figure' and element.content or element
  end
  return caption, body:walk { Figure = adopt, Table = adopt }, caption
end

local function set_widths(element, widths) -- tbl-colwidths="[20,80]", per cent
  for column, width in ipairs(pandoc.json.decode(widths, false)) do
    local spec = element.colspecs[column]
    if spec then element.colspecs[column] = { spec[1], width / 100 } end
  end
  return element
end

local function float_div(element, kind)
  local id, code, body = element.identifier, pandoc.Blocks {}, pandoc.Blocks {}
  for _, block in ipairs(element.content) do
    local is_code = block.t == 'CodeBlock' and block.classes:includes 'cell-code'
    if is_code and kind == 'lst' and block.attributes['lst-cap'] then -- what is numbered is the code
      element.attributes['lst-cap'], block.attributes['lst-cap'] = block.attributes['lst-cap'], nil
      body:insert(1, block)
    elseif is_code then
      code:insert(block)
    else
      body:insert(block)
    end
  end
  local caption = element.attributes[kind .. '-cap']
  if caption then
    caption = parse_inlines(caption)
  else
    caption, body = take_caption(body)
  end
  local count = 0
  body = body:walk {
    Figure = function(inner) -- a captioned picture in a figure is a sub-figure
      count = count + 1
      if inner.identifier ~= '' or kind ~= 'fig' then return end
      return float(kind, id .. '-' .. count, caption_inlines(inner.caption), inner.content)
    end,
  }
  local widths, attributes = element.attributes['tbl-colwidths'], {}
  if widths then
    body = body:walk { Table = function(inner) return set_widths(inner, widths) end }
  end
  for name, value in pairs(element.attributes) do
    if name:match '^layout' or name:match 'location$' then attributes[name] = value end
  end
  if not attributes['cap-location'] then attributes['cap-location'] = (config.floats or {})[kind] end
  local result = float(kind, id, caption, body, attributes)
  local is_cell = element.classes:includes 'cell'
  if not is_cell and not shared.is_aside(element) then return code .. { result } end
  return pandoc.Div(code .. { result }, pandoc.Attr(is_cell and 'cell-' .. id or '', element.classes))
end

local function titled(element, class) -- the first heading (or `name`) of a div as a div of its own
  local name = element.attributes.name
  element.attributes.name = nil
  if element.content[1] and element.content[1].t == 'Header' then
    local header = element.content:remove(1)
    element.content:insert(1, div(class, { pandoc.Plain(header.content) }))
  elseif name then
    element.content:insert(1, div(class, { pandoc.Plain(parse_inlines(name)) }))
  end
  return element
end

local function callout(element, name)
  local title = parse_inlines(element.attributes.title or config.titles['callout-' .. name])
  local has_title = element.attributes.title
  element.attributes.title = nil
  local is_quiet = element.attributes.appearance == 'simple' or element.attributes.appearance == 'minimal'
  if not has_title and is_quiet then title = pandoc.Inlines {} end
  if not has_title and element.content[1] and element.content[1].t == 'Header' then
    title, has_title = element.content:remove(1).content, true
  end
  local is_numbered = NOTES[kind_of(element.identifier) or '']
  if has_title and not is_numbered and config.format == 'html' and not config.strict then
    title:insert(1, pandoc.Span(config.titles['callout-' .. name], { class = 'visually-hidden' }))
  end
  element.content = {
    div('callout-title', { pandoc.Plain(title) }),
    div('callout-body', element.content),
  }
  return element
end

local function tabset(element)
  local tabs, level = pandoc.Blocks {}, nil
  for _, block in ipairs(element.content) do
    if block.t == 'Header' and block.level == (level or block.level) then
      level = block.level
      tabs:insert(div('tab', { div('tab-title', { pandoc.Plain(block.content) }) }))
    elseif #tabs > 0 then
      tabs[#tabs].content:insert(block)
    end
  end
  element.content = tabs
  return element
end

local shape = {
  traverse = 'topdown',
  Div = function(element)
    local kind, name = kind_of(element.identifier), class_among(element, 'callout-', CALLOUTS)
    if name then return callout(element, name) end
    if element.classes:includes 'panel-tabset' then return tabset(element) end
    if class_among(element, '', UNNUMBERED) then return titled(element, 'theorem-title') end
    if FLOATS[kind] then return float_div(element, kind) end
    if THEOREMS[kind] then
      element.classes:extend { 'theorem', kind }
      return titled(element, 'theorem-title')
    end
  end,
  Figure = function(element)
    if kind_of(element.identifier) ~= 'fig' or element.classes:includes 'float' then return end
    return float('fig', element.identifier, caption_inlines(element.caption), element.content)
  end,
  Para = function(element) -- ![](x.png){#fig-x} has no caption and so is no Figure to pandoc
    local image = element.content[1]
    if #element.content ~= 1 or image.t ~= 'Image' or kind_of(image.identifier) ~= 'fig' then
      return
    end
    local id = image.identifier
    image.identifier = ''
    return float('fig', id, {}, { pandoc.Plain { image } })
  end,
  Table = function(element)
    local widths = element.attributes['tbl-colwidths']
    element.attributes['tbl-colwidths'] = nil
    if widths then set_widths(element, widths) end
    if kind_of(element.identifier) ~= 'tbl' then return element end
    local id, caption = element.identifier, caption_inlines(element.caption)
    element.identifier, element.caption = '', { long = {} }
    return float('tbl', id, caption, { element })
  end,
  CodeBlock = function(element)
    if kind_of(element.identifier) ~= 'lst' then return end
    local id, caption = element.identifier, parse_inlines(element.attributes['lst-cap'] or '')
    element.identifier, element.attributes['lst-cap'] = '', nil
    return float('lst', id, caption, { element })
  end,
}

-- 3. Numbers in document order ----------------------------------------------------------------

local counters, sections = {}, {}

local function add_label(id, kind, number, title)
  if id ~= '' and kind then
    table.insert(record.labels, { id = id, kind = kind, number = number, title = stringify(title) })
  end
end

local function in_chapter(number)
  return (config.chapter ~= '' and config.chapter .. '.' or '') .. number
end

local function next_number(kind)
  counters[kind] = (counters[kind] or 0) + 1
  return in_chapter(counters[kind])
end

local tops = config.own_title and 1 or 0 -- headings of the first level so far

-- A second heading of the first level takes the next number, as in Quarto.
local function top_number()
  tops = tops + 1
  if tops > 1 and tonumber(config.chapter) then
    config.chapter = tostring(tonumber(config.chapter) + 1)
    counters, sections = {}, {}
  end
  return config.chapter
end

local function section_number(header)
  if config.chapter == '' or header.classes:includes 'unnumbered' then return '' end
  if header.level == 1 then return top_number() end
  if config.number_sections == false then return '' end
  local depth = header.level - 1
  sections[depth] = (sections[depth] or 0) + 1
  for deeper = depth + 1, 6 do sections[deeper] = 0 end
  local numbers = pandoc.List {}
  for level = 1, depth do numbers:insert(tostring(sections[level] or 0)) end
  return in_chapter(table.concat(numbers, '.'))
end

local number = {
  traverse = 'topdown',
  Header = function(element)
    local value = section_number(element)
    local is_shown = element.level == 1 or element.level <= config.number_depth
    if value ~= '' and is_shown then element.attributes.number = value end
    add_label(element.identifier, kind_of(element.identifier), value, element.content)
    return element
  end,
  Figure = function(element)
    if not element.classes:includes 'float' or element.attributes.number then return end
    local kind, letters = element.classes[2], 0
    element.attributes.number = next_number(kind)
    add_label(element.identifier, kind, element.attributes.number, element.caption.long)
    element.content = element.content:walk {
      traverse = 'topdown',
      Figure = function(inner)
        if not inner.classes:includes 'float' then return end
        local letter = string.char(97 + letters)
        letters = letters + 1
        inner.classes:insert 'subfloat'
        inner.attributes.number = letter
        local full = element.attributes.number .. ' (' .. letter .. ')'
        add_label(inner.identifier, kind, full, inner.caption.long)
        return inner, false
      end,
    }
    return element
  end,
  Div = function(element)
    local note = NOTES[kind_of(element.identifier) or '']
    if note and element.classes:includes('callout-' .. note) then
      local kind, title = kind_of(element.identifier), element.content[1].content[1].content
      local own, word = next_number(kind), config.titles['caption-' .. kind]
      add_label(element.identifier, kind, own, title)
      local is_bare = stringify(title) == config.titles['callout-' .. note]
      local rest = is_bare and {} or pandoc.Inlines { pandoc.Str(config.delimiter), pandoc.Space() } .. title
      element.content[1].content[1].content = pandoc.Inlines { pandoc.Str(word .. '\u{a0}' .. own) } .. rest
      return element
    end
    if not element.classes:includes 'theorem' then return end
    local kind, first = kind_of(element.identifier), element.content[1]
    local has_name = first and first.t == 'Div' and first.classes:includes 'theorem-title'
    element.attributes.number = next_number(kind)
    add_label(element.identifier, kind, element.attributes.number, has_name and first.content or {})
    return element
  end,
  Inlines = function(inlines) -- $$…$$ {#eq-x}
    local result = pandoc.Inlines {}
    for _, inline in ipairs(inlines) do
      local id, rest = (inline.t == 'Str' and inline.text or ''):match '^{#(eq%-[^%s}]+)}(.*)$'
      local space = id and #result > 1 and result[#result].t:match '^S' and result:remove()
      local math = result[#result]
      if id and math and math.t == 'Math' then
        local value = next_number 'eq'
        add_label(id, 'eq', value, {})
        result[#result] = pandoc.Span({ math }, pandoc.Attr(id, { 'equation' }, { number = value }))
        if rest ~= '' then result:insert(pandoc.Str(rest)) end
      else
        if space then result:insert(space) end
        result:insert(inline)
      end
    end
    return result
  end,
}

-- 4. References -------------------------------------------------------------------------------

local function capital(text)
  return pandoc.text.upper(pandoc.text.sub(text, 1, 1)) .. pandoc.text.sub(text, 2)
end

local function link(citation)
  local id = citation.id:sub(1, 1):lower() .. citation.id:sub(2)
  table.insert(record.refs, id)
  local target = config.refs and config.refs[id]
  if not target then -- as in Quarto
    return pandoc.Strong { pandoc.Str((config.format == 'html' and '?' or '?@') .. citation.id) }
  end
  local text = target.prefix
  if #citation.prefix > 0 then
    text = stringify(citation.prefix)
  elseif citation.mode == 'SuppressAuthor' then
    text = ''
  elseif citation.id:match '^%u' then
    text = capital(text)
  end
  if text ~= '' then text = text .. '\u{a0}' end
  local attr = pandoc.Attr('', { 'quarto-xref' })
  return pandoc.Link({ pandoc.Str(text .. target.number) }, target.href, '', attr)
end

local refer = {
  Link = function(element) -- [words](#fig-x) may lead into another chapter
    local id = element.target:match '^#(.+)$'
    if not id or not kind_of(id) then return end
    record.links:insert(id)
    local target = config.refs and config.refs[id]
    if target then element.target = target.href end
    return element
  end,
  Cite = function(element)
    local links, cites = pandoc.Inlines {}, pandoc.List {}
    for _, citation in ipairs(element.citations) do
      if kind_of(citation.id) then
        if #links > 0 then links:extend { pandoc.Str ',', pandoc.Space() } end
        links:insert(link(citation))
      else
        cites:insert(citation.id)
      end
    end
    if #links > 0 then return links end -- as in Quarto, what is cited within a reference is dropped
    record.cites:extend(cites)
  end,
}

-- 5. What no format of ours can show ----------------------------------------------------------

local SHOWN = pandoc.List { 'html', 'typst', 'tex', 'latex' }
local function note_lost(element)
  if not SHOWN:includes(element.format) then record.lost:insert(element.text) end
end

-- Formulas without dollars are formulas; macros have done their work, other LaTeX is for LaTeX.
local FORMULAS = pandoc.List { 'equation', 'align', 'gather', 'multline', 'eqnarray', 'flalign' }
local function without_tex(element)
  if element.format ~= 'tex' and element.format ~= 'latex' then return end
  local name, body = element.text:match '^%s*\\begin{(%a+)%*?}(.*)\\end{%a+%*?}%s*$'
  if not FORMULAS:includes(name) then return {} end
  local plain = (name:match '^equation' and body or element.text):gsub('\\label%s*%b{}%s*', '')
  local math = pandoc.Math('DisplayMath', plain)
  return element.t == 'RawBlock' and pandoc.Para { math } or math
end

-- 6. What stands elsewhere ---------------------------------------------------------------------

-- {{< contents id >}}: what has the id stands here instead.
local function with_moved(doc)
  local moved = {}
  doc:walk { Span = function(span)
    if span.classes:includes 'contents' then moved[span.attributes.of] = pandoc.Blocks {} end
  end }
  if not next(moved) then return doc end
  doc = doc:walk { Div = function(element)
    local id = moved[element.identifier] and element.identifier or element.identifier:gsub('^cell%-', '')
    if not moved[id] then return end
    moved[id] = element.content
    return {}
  end }
  return doc:walk { Para = function(element)
    local span = element.content[1]
    if #element.content == 1 and span.t == 'Span' and span.attributes.of then return moved[span.attributes.of] end
  end }
end

-- What the front matter says stands below the title.
local function with_front(doc)
  local blocks = pandoc.Blocks {}
  for _, part in ipairs(config.front or {}) do
    local content = pandoc.read(part[2], 'markdown').blocks
    if part[1] == 'abstract' then
      content:insert(1, pandoc.Para { pandoc.Strong(pandoc.Inlines(config.abstract_title)) })
    end
    blocks:insert(pandoc.Div(content, pandoc.Attr('', { 'chapter-' .. part[1] })))
  end
  if #blocks == 0 then return doc end
  local place = 1
  for index, block in ipairs(doc.blocks) do
    if not config.own_title and block.t == 'Header' and block.level == 1 then
      place = index + 1
      break
    end
  end
  for index, block in ipairs(blocks) do doc.blocks:insert(place + index - 1, block) end
  return doc
end

-- The first heading is the title, whatever its level and whatever stands before it.
local function with_title(doc)
  for index, block in ipairs(config.own_title and {} or doc.blocks) do
    if block.t == 'Header' then
      block.level = 1
      doc.blocks:remove(index)
      doc.blocks:insert(1, block)
      return doc
    end
  end
  return doc
end

function Pandoc(doc)
  doc = with_moved(with_front(with_title(doc)))
  doc = doc:walk { RawBlock = without_tex, RawInline = without_tex, Div = cells.file_of_cell, CodeBlock = cells.shown_cell }
  doc = doc:walk({ Div = cells.code_beside }):walk { traverse = 'topdown', Blocks = cells.annotate }
  doc = doc:walk { traverse = 'topdown', Div = select, Span = select }
  doc = doc:walk(shape):walk(number):walk(refer)
  doc:walk { RawInline = note_lost, RawBlock = note_lost }
  local found = pandoc.MetaString(pandoc.json.encode(record))
  if config.refs then
    doc.meta.record = found
  else
    doc.blocks, doc.meta = {}, { record = found }
  end
  return doc
end
