-- A chapter in the shape that crossref.lua gives it -> calls of the functions of book.typ.
--
-- Reads $PIXGRAD_CHAPTER as crossref.lua does, and from it also the chapter's `path` and `title`,
-- `kicker` («Глава»), `figures` (the folder of what the text calls <chapter>_files) and `sources`
-- (path of the chapter that lists them). Paths are the project's. A label is "chapter path#id".

local config = pandoc.json.decode(os.getenv 'PIXGRAD_CHAPTER', false)
local stringify = pandoc.utils.stringify
local shared = dofile(pandoc.path.join { pandoc.path.directory(PANDOC_SCRIPT_FILE), 'shared.lua' })

local NAMES = { fig = 'figure', tbl = 'table', lst = 'listing' }
local SLANTED = { thm = true, lem = true, cor = true, prp = true, cnj = true }
local PARTS = { ['callout-title'] = true, ['callout-body'] = true, ['theorem-title'] = true, ['tab-title'] = true }
local BOXES = { ['☐'] = 'false', ['☒'] = 'true' } -- of tasks: is it done?

-- Writing Typst -------------------------------------------------------------------------------

local function typst(content)
  local blocks = pandoc.utils.type(content) == 'Inlines' and { pandoc.Plain(content) } or content
  local format = { format = 'typst', extensions = { smart = false, citations = false } }
  return (pandoc.write(pandoc.Pandoc(blocks), format, { wrap_text = 'none' }):gsub('%s+$', ''))
end

local function quoted(text)
  return '"' .. text:gsub('\\', '\\\\'):gsub('"', '\\"'):gsub('\n', '\\n') .. '"'
end

local function block(...) return pandoc.RawBlock('typst', table.concat { ... } .. '\n') end
local function inline(...) return pandoc.RawInline('typst', table.concat { ... }) end
local function bracketed(content) return '[' .. typst(content) .. ']' end
local function optional(content)
  return content and #content > 0 and bracketed(content) or 'none'
end


local named = {} -- of a name that is given twice the first place counts
local function is_new(name)
  local known = named[name]
  named[name] = true
  return not known
end
local function labelled(id)
  local name = config.path .. '#' .. id
  return id ~= '' and is_new(name) and ' #label(' .. quoted(name) .. ')' or ''
end
local function anchor(name) return is_new(name) and '#anchor(' .. quoted(name) .. ')' or '' end

local function decoded(path)
  return (path:gsub('%%(%x%x)', function(code) return string.char(tonumber(code, 16)) end))
end

local closed -- forward

local function unsupported(what) -- a strict book is refused; of another as much is shown as can be
  if not config.strict then return end
  error('PIXGRAD в PDF не поддерживается ' .. what .. ' PIXGRAD', 0)
end

-- Addresses -----------------------------------------------------------------------------------

local function normal(path) -- "." and ".." resolved
  local parts = pandoc.List {}
  for part in path:gmatch '[^/]+' do
    if part == '..' then parts:remove() elseif part ~= '.' then parts:insert(part) end
  end
  return table.concat(parts, '/')
end

-- A path as written in the chapter -> from the root of the project.
local function from_root(path)
  path = decoded(path)
  return normal(path:sub(1, 1) == '/' and path or config.path:gsub('[^/]*$', '') .. path)
end

local function picture_path(source) -- nil for one that is not in the book
  if source:match '^data:image/%l+;base64,' then return source end -- made a file afterwards
  if source:match '^%a+://' or source:match '^data:' then
    unsupported('рисунок по адресу «' .. source:sub(1, 60) .. '»: нужен файл в папке книги')
    return
  end
  local stem = config.path:match '([^/]+)%.%w+$'
  local name = decoded(source):match('^' .. stem:gsub('%W', '%%%0') .. '_files/(.*)$')
  local path = name and normal(config.figures .. '/' .. name) or from_root(source)
  local file = config.strict or io.open(config.root .. '/' .. path, 'rb')
  if not file then return end
  if file ~= true then file:close() end
  return '/' .. path
end

-- Formulas: what the typst writer gets wrong --------------------------------------------------

local RENAMED = pandoc.List { -- names that Typst has dropped since
  { 'sect', 'inter' }, { 'kai', '"ϗ"' }, { 'Kai', '"Ϗ"' }, { 'planck%.reduce', 'planck' },
  { 'quote%.angle%.(%l)%.%l+', 'chevron.%1' }, { 'angle%.right%.sq', '⦜' },
  { 'angle%.spheric%.top', '⦡' }, { 'angle%.oblique', '⦦' }, { 'bar%.v%.circle', 'bar.v.o' },
}
for name in ('plus minus times div dot dash eq lt gt perp parallel backslash'):gmatch '%l+' do
  RENAMED:insert { name .. '%.circle', name .. '.o' }
end
for _, name in ipairs { 'paren', 'bracket', 'brace', 'shell' } do
  RENAMED:insert { name .. '%.([lr])%.double', name .. '.%1.stroked' }
end

-- \overset and the like become scripts; what they stand over is marked so as to be found again.
local function mark_stacks(tex)
  local function over(base, script) return '\\text{⟪}' .. base .. '\\text{⟫}^{' .. script .. '}' end
  local function inner(braced) return braced:sub(2, -2) end
  for _, name in ipairs { 'overset', 'stackrel' } do
    tex = tex:gsub('\\' .. name .. '%s*(%b{})%s*(%b{})', function(script, base)
      return over(inner(base), inner(script))
    end)
  end
  tex = tex:gsub('\\underset%s*(%b{})%s*(%b{})', function(script, base)
    return '\\text{⟪}' .. inner(base) .. '\\text{⟫}_{' .. inner(script) .. '}'
  end)
  return (tex:gsub('\\x(%l+arrow)%s*(%b{})', function(arrow, script)
    return over('\\' .. arrow, inner(script))
  end))
end

-- \left. … \right| loses its size: ⟦ and ⟧ mark what the bar is as tall as.
local function mark_bars(tex)
  local opened = {}
  return (tex:gsub('\\right%s*\\r?vert', '\\right|'):gsub('\\(%l+)%s*(\\?%A)', function(side, delimiter)
    if side == 'left' then table.insert(opened, delimiter) end
    local is_bar = side == 'right' and table.remove(opened) == '.'
    if side == 'left' and delimiter == '.' then return '\\text{⟦}' end
    if is_bar then return delimiter .. '\\text{⟧}' end
  end))
end

-- Lines aligned beside other parts of a formula are an array; Typst aligns whole formulas only.
local function aligned_beside(tex)
  for name, columns in pairs { aligned = 'rlrlrlrl', split = 'rl', gathered = 'c' } do
    local start, stop = '\\begin{' .. name .. '}', '\\end{' .. name .. '}'
    local before, after = tex:match('^(.-)' .. start .. '.*' .. stop .. '(.*)$')
    local _, count = tex:gsub(start, '')
    if before and (count > 1 or (before .. after):match '%S') then
      tex = tex:gsub(start .. '%[%a%]', start):gsub(start, '\\begin{array}{' .. columns .. '}')
        :gsub(stop, '\\end{array}')
    end
  end
  return tex
end

-- A matrix without brackets would come as bare lines: it gets brackets, and ○ to take them off.
local function mark_matrices(tex)
  tex = aligned_beside(tex:gsub('\\hline%f[%A]', ''))
  for _, name in ipairs { 'array', 'matrix' } do
    local start, stop = '\\begin{' .. name .. '}', '\\end{' .. name .. '}'
    tex = tex:gsub('(\\left%s*\\?[^%s%w]%s*)' .. start, '%1\0')
      :gsub(start, '\\text{○}\\left(' .. start):gsub('%z', start)
      :gsub(stop .. '(%s*)(\\?%a*)', function(space, word)
        return stop .. space .. (word == '\\right' and word or '\\right)' .. word)
      end)
  end
  return tex
end

local function letters(name) -- without spaces, thin ones (U+2000 to U+200A) included
  return (name:gsub('\xE2\x80[\x80-\x8A]', ''):gsub('[^%w\128-\255]', ''))
end

local function sized(percent, delimiter) -- \bigl( and the like
  local escape = delimiter:match '^[%[%](){}|]$' and '\\' or ''
  return ('lr(%s%s, size: #%sem)'):format(escape, delimiter, percent / 100)
end

local function formula(element)
  local tex, limits = element.text, {}
  for name in tex:gmatch '\\operatorname%*%s*(%b{})' do limits[letters(name)] = true end
  local marked = mark_bars(mark_stacks(mark_matrices(tex):gsub('\\\\', '\0'):gsub('\\|', '\\Vert ')))
  element.text = marked:gsub('(%d){,}(%d)', '%1\\text{,}%2'):gsub('%z', '\\\\')
  local text = typst(pandoc.Inlines { element })
  if text:match '^\\' then return '#raw(' .. quoted(tex) .. ')' end -- pandoc cannot read it
  for _, pair in ipairs(RENAMED) do
    text = text:gsub('%f[%w]' .. pair[1] .. '%f[%W]', pair[2])
  end
  text = text
    :gsub('(%d) upright%(","%) (%d)', '%1","%2')
    :gsub(' ?bar%.v%.double ?', '‖'):gsub(' ?\\| ?', '\\|') -- spaces would show
    :gsub('upright%("⟪"%)', 'limits('):gsub('upright%("⟫"%)', ')')
    :gsub('upright%("⟦"%)', 'lr('):gsub('\\?(|?) ?upright%("⟧"%)', '%1)')
    :gsub('cases(%b())', function(rows) return 'cases' .. rows:gsub(' & ', ' & quad ') end)
    :gsub('upright%("○"%) mat%(delim: "%("', 'mat(delim: #none')
    :gsub('upright%("○"%) vec%(', 'vec(delim: #none, ')
    :gsub('#h%(0em%)', 'thick'):gsub('#h%(%-1em%)', '#h(-0.17em)')
    :gsub('#scale%(x: (%d+)%%, y: %d+%%%)%[\\(.)%]', sized)
    :gsub('#scale%(x: (%d+)%%, y: %d+%%%)%[([^%]\\]+)%]', sized)
    :gsub('(.?)("[^"]*")', function(before, name)
      if before == '(' or not name:match '[%a\128-\255]' then return end -- \text; a delimiter
      local how = limits[letters(name)] and ', limits: #true)' or ')'
      return before .. 'op(' .. name .. how
    end)
    :gsub('delim: "||"', tex:match 'Vmatrix' and 'delim: "‖"' or 'delim: "|"')
  if element.mathtype == 'DisplayMath' then text = text:gsub('^%$ ?', '$ '):gsub(' ?%$$', ' $') end
  return '#tex(' .. quoted(tex) .. ', ' .. text .. ')'
end

-- Code, pictures, tables ----------------------------------------------------------------------

local raw
function raw(element, wrapper)
  local file = element.attributes.filename
  if file then
    element.attributes.filename = nil
    local name = pandoc.Para { pandoc.Strong { pandoc.Code(file) } }
    return pandoc.Blocks { name, raw(element, wrapper) }
  end
  local language = element.attributes.language or element.classes[1]
  local hint = language and language ~= 'cell-code' and 'lang: ' .. quoted(language) .. ', ' or ''
  return block('#', wrapper, '(raw(block: true, ', hint, quoted(element.text), '))')
end

local function picture(element)
  local width = element.attributes.width
  if width and width:match '^[%d.]+$' then width = width .. 'px' end
  if width and width:match 'px$' then width = tonumber(width:match '[%d.]+') * 0.75 .. 'pt' end
  local alt = element.attributes['fig-alt'] or element.attributes.alt or stringify(element.caption)
  local path = picture_path(element.src)
  if not path then return 'missing(' .. quoted(alt) .. ', ' .. quoted(element.src:sub(1, 200)) .. ')' end
  return 'picture(' .. quoted(path)
    .. (width and ', width: ' .. width or '')
    .. (alt ~= '' and ', alt: ' .. quoted(alt) or '') .. ')'
end

local function standing_picture(element) -- a paragraph that is one picture
  local only = element.content[1]
  if #element.content == 1 and only.t == 'Image' then
    return block('#align(center, ', picture(only), ')')
  end
end

local NO_PRINT = { 'script', 'svg', 'canvas', 'object' }

local function readable(html) -- nothing of it would be lost
  for _, tag in ipairs(NO_PRINT) do
    if html:match('<' .. tag .. '[%s>]') then unsupported('HTML «' .. html:sub(1, 60) .. '»') end
  end
  local source
  for _, tag in ipairs { 'iframe', 'video', 'audio', 'embed' } do
    if html:match('<' .. tag .. '[%s>]') then
      source = html:match 'src=["\']([^"\']+)'
      if not source then unsupported('HTML «' .. html:sub(1, 60) .. '»') end
    end
  end
  return source and '<p><a href="' .. source .. '">' .. source .. '</a></p>' or html
end

local function html_blocks(element)
  if element.format ~= 'html' or element.text:match '^%s*<!%-%-' then return end
  return pandoc.read(readable(element.text), 'html').blocks
end

local function html_inline(element)
  if element.text:match '^<br' then return pandoc.LineBreak() end
  if element.text:match '^<!%-%-' or element.text:match '^</?[%a]+[^>]*>$' and not element.text:match '^<img' then
    readable(element.text)
    return {}
  end
  return pandoc.utils.blocks_to_inlines(pandoc.read(readable(element.text), 'html').blocks)
end

local function tasks(element)
  local result = pandoc.Blocks {}
  for _, item in ipairs(element.content) do
    local words = item[1] and item[1].content
    local box = words and words[1] and words[1].t == 'Str' and BOXES[words[1].text]
    if not box then return end
    words:remove(1)
    result:insert(block('#task(', box, ')', bracketed(item)))
  end
  return result
end

-- Rows of pictures: each is a Div of class `panels`. ------------------------------------------

local function lay_out(element)
  return shared.lay_out(element, function(content)
    return pandoc.Div(content, { class = 'panel' })
  end, function(cells, row)
    local columns = pandoc.List(row):map(function(width) return math.abs(width) .. 'fr' end)
    return pandoc.Div(cells, pandoc.Attr('', { 'panels' }, { columns = table.concat(columns, ', ') }))
  end)
end

local function panels(element)
  local cells = element.content:map(function(cell) return bracketed(cell.content) end)
  return block('#panels((', element.attributes.columns, ',))', table.concat(cells))
end

local function columns(element) -- ::: {.columns} of ::: {.column width="30%"}
  local widths, cells = pandoc.List {}, pandoc.List {}
  for _, column in ipairs(element.content) do
    local inner = column.t == 'Div' and column.content or pandoc.Blocks { column }
    local width = column.t == 'Div' and column.attributes.width or ''
    widths:insert(width:match '^[%d.]+%%$' and width:gsub('%%', 'fr') or '1fr')
    cells:insert(bracketed(inner))
  end
  return block('#grid(columns: (', table.concat(widths, ', '), ',), column-gutter: 1.5em)', table.concat(cells))
end

-- Figures, theorems, callouts -----------------------------------------------------------------

local function figure(element)
  local kind, number, id = element.classes[2], element.attributes.number, element.identifier
  local caption, content = optional(element.caption.long), bracketed(element.content)
  if element.classes:includes 'subfloat' then
    return block('#panel(', quoted('(' .. number .. ')'), ', ', caption, ')', content, labelled(id))
  end
  local name = quoted(NAMES[kind] or 'figure')
  local label = kind and quoted(config.titles[kind] .. '\u{a0}' .. number) or 'none'
  local place = id ~= '' and is_new(config.path .. '#' .. id)
    and 'label(' .. quoted(config.path .. '#' .. id) .. ')' or 'none'
  local stays = not config.strict and ', stays: true' -- Quarto's figures do not float
    or element.classes:includes 'announced' and ', stays: auto' or ''
  return block('#captioned(', name, ', ', label, ', ', caption, ', ', place, stays, ')', content)
end

local function theorem(element)
  local kind = element.classes[#element.classes]
  local name = optional(shared.take(element.content, 'theorem-title'))
  local label = quoted(config.titles[kind] .. '\u{a0}' .. element.attributes.number)
  local slanted = SLANTED[kind] and 'true' or 'false'
  return block(
    '#theorem(', label, ', ', name, ', slanted: ', slanted, ')', bracketed(element.content),
    labelled(element.identifier)
  )
end

local function proof(element, kind)
  local name = optional(shared.take(element.content, 'theorem-title'))
  local closed = kind == 'proof' and 'true' or 'false'
  local label = quoted(config.titles[kind])
  return block('#proof(', label, ', ', name, ', closed: ', closed, ')', bracketed(element.content))
end

local function callout(element, name)
  local title = bracketed(shared.take(element.content, 'callout-title'))
  local body = bracketed(shared.take(element.content, 'callout-body'))
  return block('#callout("', name, '", ', title, ')', body, labelled(element.identifier))
end

local function division(element)
  local content, id = element.content, element.identifier
  for _, class in ipairs(element.classes) do
    local name = class:match '^callout%-(%a+)$'
    if PARTS[class] or class == 'panel' then return end
    if name and config.titles[class] then return callout(element, name) end
    if class == 'proof' or class == 'remark' or class == 'solution' then return proof(element, class) end
    if class == 'theorem' then return theorem(element) end
    if class == 'panels' then return panels(element) end
    if class == 'columns' then return columns(element) end
    if shared.is_aside(element) then return block('#aside', bracketed(content), labelled(id)) end
    if class == 'csl-entry' then return block('#source', bracketed(content), labelled(id)) end
    if class == 'tab' then
      local title = bracketed(shared.take(content, 'tab-title'))
      return block('#tab', title, bracketed(content))
    end
  end
  if id ~= '' then content:insert(1, block(anchor(config.path .. '#' .. id))) end
  return content
end

-- The chapter ---------------------------------------------------------------------------------

local CALLS = pandoc.List {
  'Emph', 'Strong', 'Strikeout', 'Superscript', 'Subscript', 'SmallCaps', 'Underline', 'Link', 'Image',
  'Note',
}

-- A call ends before what follows it: «#emph[config].yml» would ask for a field.
function closed(content)
  local result = pandoc.Inlines {}
  for index, element in ipairs(content) do
    result:insert(element)
    local after = content[index + 1]
    local is_raw = element.t == 'RawInline' and element.format == 'typst' and element.text:match '^#'
    local has_language = element.t == 'Span' and element.attributes.lang
    local is_call = CALLS:includes(element.t) or is_raw or has_language
    if is_call and after and after.t == 'Str' and after.text:match '^[.(%[;]' then
      result:insert(pandoc.RawInline('typst', ';'))
    end
  end
  return result
end

local inlines = {
  Inlines = function(content) -- no line begins with a dash
    content = closed(content)
    for index = 2, #content do
      local is_dash = content[index].t == 'Str' and content[index].text:match '^—'
      if is_dash and (content[index - 1].t == 'Space' or content[index - 1].t == 'SoftBreak') then
        content[index - 1] = pandoc.Str '\u{a0}'
      end
    end
    return content
  end,
  Math = function(element) return inline(formula(element)) end,
  Quoted = function(element)
    local marks = element.quotetype == 'DoubleQuote' and { '«', '»' } or { '„', '“' }
    return pandoc.Inlines { pandoc.Str(marks[1]) } .. element.content .. { pandoc.Str(marks[2]) }
  end,
  Cite = function(element) return element.content end,
  RawInline = function(element)
    if element.format == 'html' then return html_inline(element) end
    if element.format ~= 'typst' then unsupported('«' .. element.text .. '»') end
  end,
  Link = function(element)
    local target = element.target
    if target:match '^%a[%w+.-]*:' then return end
    local path, id = target:match '^([^#]*)#?(.*)$'
    local name = (path == '' and config.path or from_root(path)) .. (id ~= '' and '#' .. id or '')
    if element.classes:includes 'quarto-xref' then -- [-@eq-x] is the number alone, without brackets
      element.content[1].text = element.content[1].text:gsub('^%((.*)%)$', '%1')
    end
    if path == '' and id:match '^ref%-' then name = config.sources .. '#' .. id end
    return inline('#link(label(', quoted(name), '))', bracketed(element.content))
  end,
  Span = function(element)
    local id = element.identifier
    if element.classes:includes 'equation' then
      local number = quoted('(' .. element.attributes.number .. ')')
      return inline('#equation(', number, ')[', typst(element.content), labelled(id), ']')
    end
    if shared.is_aside(element) then return inline('#footnote', bracketed(element.content)) end
    if element.classes:includes 'pagebreak' then return inline('#pagebreak(weak: true)') end
    if element.classes:includes 'kbd' then
      return inline('#box(stroke: 0.5pt + luma(160), radius: 2pt, inset: (x: 3pt), outset: (y: 2pt))', bracketed(element.content))
    end
    if id == '' then return end
    element.identifier = ''
    return { inline(anchor(config.path .. '#' .. id)), element }
  end,
}

local blocks = {
  Para = standing_picture,
  Plain = standing_picture,
  BulletList = tasks,
  CodeBlock = function(element) return raw(element, 'code') end,
  Header = function(element)
    local level, number = element.level, element.attributes.number
    local kicker = level == 1 and number and ', kicker: ' .. quoted(config.kicker) or ''
    local after = level == 1 and '\n' .. anchor(config.path) or ''
    return block(
      '#section(', tostring(level), ', ', number and quoted(number) or 'none', kicker, ')',
      bracketed(element.content), labelled(element.identifier), after
    )
  end,
  Table = function(element)
    element.classes:insert 'typst:no-figure'
    element.bodies = pandoc.List(element.bodies):map(function(body)
      body.body = body.body:filter(function(row) return #row.cells > 0 end) -- covered by cells above
      return body
    end)
    local first, is_even = element.colspecs[1][2], true
    for _, column in ipairs(element.colspecs) do is_even = is_even and column[2] == first end
    if is_even then -- pandoc's equal shares say only that the source lines are long
      element.colspecs = element.colspecs:map(function(column) return { column[1] } end)
    end
    return block((typst { element }:gsub('#table%(', '#fitted(')))
  end,
  RawBlock = function(element)
    if element.format == 'html' then return {} end -- a comment: see html_blocks
    if element.format ~= 'typst' then unsupported('«' .. element.text:sub(1, 60) .. '»') end
  end,
}

-- Output stands apart from code; only the div around it says which is which.
local function output(element)
  if not element.classes:includes 'cell-output' then return end
  return element:walk { CodeBlock = function(inner) return raw(inner, 'output') end }
end

local function inline_picture(element) return inline('#box(', picture(element), ')') end

-- A title in the front matter instead of a heading.
local function with_title(doc)
  for _, element in ipairs(config.own_title and {} or doc.blocks) do
    if element.t == 'Header' and element.level == 1 then return end
  end
  local number = config.chapter ~= '' and { number = config.chapter } or {}
  doc.blocks:insert(1, pandoc.Header(1, config.title, pandoc.Attr('', {}, number)))
end

-- What a heading or a colon leads up to does not float away unless it is tall.
local function announced(blocks)
  local function mark(figure) figure.classes:insert 'announced' return figure end
  local leads = false
  for index, element in ipairs(blocks) do
    if leads then blocks[index] = pandoc.Blocks({ element }):walk { Figure = mark }[1] end
    leads = element.t == 'Header' or element.t == 'Para' and stringify(element):match ':$'
  end
end

function Pandoc(doc)
  with_title(doc)
  announced(doc.blocks)
  return doc
    :walk({ RawBlock = html_blocks })
    :walk({ Div = lay_out, Figure = lay_out })
    :walk({ Div = output })
    :walk(inlines)
    :walk(blocks)
    :walk({ Image = inline_picture, Div = division, Figure = figure })
end
