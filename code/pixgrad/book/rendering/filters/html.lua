-- HTML with Quarto's ids and classes, from the shapes that crossref.lua made.
-- $PIXGRAD_CHAPTER adds `code_fold`, `code_summary`, `offset` (the way to the site's root, "../")
-- and `figures`: {prefix, folder}, where the pictures of the cells lie in _freeze.

local config = pandoc.json.decode(os.getenv 'PIXGRAD_CHAPTER', false)
local stringify = pandoc.utils.stringify
local NBSP = '\u{a0}'
local shared = dofile(pandoc.path.join { pandoc.path.directory(PANDOC_SCRIPT_FILE), 'shared.lua' })

local function raw(html) return pandoc.RawBlock('html', html) end

local function escape(text)
  return (text:gsub('[&<>"]', { ['&'] = '&amp;', ['<'] = '&lt;', ['>'] = '&gt;', ['"'] = '&quot;' }))
end

local function div(classes, blocks, attributes)
  return pandoc.Div(blocks, pandoc.Attr('', classes, attributes or {}))
end

local function take(attributes, name)
  local value = attributes[name]
  attributes[name] = nil
  return value
end

-- Rows of pictures ----------------------------------------------------------------------------

local function lay_out(element)
  return shared.lay_out(element, function(content, width, row)
    local total = 0
    for _, one in ipairs(row) do total = total + math.abs(one) end
    local share = width / total
    local style = ('flex: %.3g 1 %.3grem'):format(share, share * 14 * #row)
    return div({ 'quarto-layout-cell' }, content, { style = style })
  end, function(cells) return div({ 'quarto-layout-row' }, cells) end)
end

-- Notes in a line go to the margin beside it; where there is none, they follow their paragraph.
local function beside(blocks)
  local result = pandoc.Blocks {}
  for _, block in ipairs(blocks) do
    local notes = pandoc.Blocks {}
    if block.t == 'Para' or block.t == 'Plain' then
      block.content = block.content:filter(function(inline)
        local is_note = inline.t == 'Span' and shared.is_aside(inline)
        if is_note then notes:insert(div({ 'aside' }, { pandoc.Plain(inline.content) })) end
        return not is_note
      end)
    end
    result:insert(block)
    result:extend(notes)
  end
  return result
end

-- Pictures and addresses ----------------------------------------------------------------------

local function hide_caption(figure) -- what stands below a picture is not its alternative text
  figure.content = figure.content:walk {
    Image = function(image)
      image.caption = {}
      return image
    end,
  }
  return figure
end

local function decoded(path)
  return (path:gsub('%%(%x%x)', function(code) return string.char(tonumber(code, 16)) end))
end

local function encoded(path)
  return (path:gsub('[ %%?#"<>]', function(sign) return ('%%%02X'):format(sign:byte()) end))
end

local function address(target)
  if target:match '^/[^/]' then target = config.offset .. target:sub(2) end
  if target:match '^%a[%w+.-]*:' then return target end
  local path, rest = target:match '^([^#]*)(.*)$'
  local page = config.pages and config.pages[decoded(path)]
  if page then return encoded(page) .. rest end
  return (target:gsub('%.qmd$', '.html'):gsub('%.qmd#', '.html#'))
end

local function pixels(source) -- width and height, so that the page does not jump; is it a raster?
  local path = source
  if source:sub(1, #config.figures.prefix) == config.figures.prefix then
    path = config.figures.folder .. source:sub(#config.figures.prefix + 1)
  end
  local file = io.open(path, 'rb')
  if not file then return end
  local content = file:read 'a'
  file:close()
  local is_vector = path:match '%.svg$'
  local head = is_vector and content:match '<svg[^>]*>' -- a whole plot takes long to parse
  local is_known, size = pcall(pandoc.image.size, head and head:gsub('/?>$', '/>') or content)
  return is_known and size or nil, is_vector and content:find('<image', 1, true)
end

local COLUMN = 690 -- pixels of the text column: what is wider uses the margin, too
local pictures = 0

local function image(element)
  local alt = take(element.attributes, 'fig-alt')
  if alt then element.caption = { pandoc.Str(alt) } end
  element.src = address(element.src)
  if not element.attributes.width and not element.attributes.height then
    local size, has_pixels = pixels(element.src)
    if has_pixels then element.classes:insert 'pixels' end
    if size then
      element.attributes.width, element.attributes.height = tostring(size.width), tostring(size.height)
      if size.width > COLUMN and not shared.is_aside(element) then element.classes:insert 'wide' end
    end
  end
  pictures = pictures + 1
  if pictures > 1 or config.chapter ~= '' then element.attributes.loading = 'lazy' end
  if not element.src:match '%.svg$' or not element.attributes.width then return element end
  local own = element.attributes.width:match '^[%d.]+$'
  element.attributes.style = own and ('--own: %spx'):format(own)
  return pandoc.Span({ element }, { class = 'plot' })
end

-- Figures, tables, listings -------------------------------------------------------------------

local function float(figure)
  if not figure.classes:includes 'float' then return end
  local kind, number = figure.classes[2], figure.attributes.number
  local is_sub = figure.classes:includes 'subfloat'
  local caption = pandoc.utils.blocks_to_inlines(figure.caption.long)
  local label = is_sub and '(' .. number .. ')' or config.titles[kind] .. NBSP .. number
  local stop = #caption == 0 and '' or is_sub and ' ' or config.delimiter .. ' '
  local place = take(figure.attributes, 'cap-location') or take(figure.attributes, kind .. '-cap-location')
  local head = pandoc.Blocks {
    raw(('<figcaption class="quarto-float-caption quarto-float-%s">'):format(kind)),
    pandoc.Plain(pandoc.Inlines { pandoc.Strong { pandoc.Str(label .. stop) } } .. caption),
    raw '</figcaption>',
  }
  local body = figure.content
  local is_above = place == 'top' or not place and kind ~= 'fig'
  body = is_above and head .. body or body .. head
  local class = ('quarto-float quarto-float-%s%s figure'):format(kind, is_sub and ' quarto-subfloat' or '')
  body:insert(1, raw(('<figure id="%s" class="%s">'):format(escape(figure.identifier), class)))
  body:insert(raw '</figure>')
  return body
end

local function wrap_table(element)
  return div({ 'table-wrapper' }, { element })
end

-- Code ----------------------------------------------------------------------------------------

local function code(block)
  -- For a name that is not its own, the highlighter looks through all languages: a third of a second.
  block.classes = block.classes:map(function(class) return class == 'sh' and 'bash' or class end)
  local other = take(block.attributes, 'language')
  if other then block.classes:insert(1, '{' .. other .. '}') end
  local fold = take(block.attributes, 'code-fold') or config.code_fold
  local summary = take(block.attributes, 'code-summary') or config.code_summary
  local file, overflow = take(block.attributes, 'filename'), take(block.attributes, 'code-overflow')
  local is_cell, numbers = block.classes:includes 'cell-code', take(block.attributes, 'code-line-numbers')
  if is_cell or numbers then numbers = numbers or tostring(config.code_line_numbers or false) end
  if not numbers and #block.classes > 0 and config.code_line_numbers then numbers = 'true' end
  if numbers and numbers ~= 'false' then block.classes:insert 'numberLines' end
  if is_cell and not overflow and config.code_overflow ~= '' then overflow = config.code_overflow end
  if overflow then block.classes:insert('code-overflow-' .. overflow) end
  local blocks = pandoc.Blocks { block }
  if file then
    blocks:insert(1, div({ 'code-with-filename-file' }, { pandoc.Plain { pandoc.Code(file) } }))
  end
  if block.classes:includes 'cell-code' and (fold == 'true' or fold == 'show') then
    local open = fold == 'show' and ' open' or ''
    local head = '<details class="code-fold"%s><summary>%s</summary>'
    blocks:insert(1, raw(head:format(open, escape(summary))))
    blocks:insert(raw '</details>')
  end
  return blocks
end

local function annotations(element) -- numbers, as they stand beside the lines, and the notes
  local items = pandoc.List {}
  for number, item in ipairs(element.content[1].content) do
    if item[1] and item[1].content then item[1].content:remove(1) end -- «Строка 1:»
    items:insert { pandoc.Inlines(tostring(number)), { item } }
  end
  return div({ 'code-annotation-container-grid' }, { pandoc.DefinitionList(items) })
end

local function cell_code(block) -- the code of a cell that shows nothing else
  if block.t == 'Div' and block.classes:includes 'cell' and #block.content == 1 then
    block = block.content[1]
  end
  return block.t == 'CodeBlock' and block.classes:includes 'cell-code' and block
end

local function merge_cells(blocks) -- code followed by code is one block under one «Код»
  if not config.strict then return end
  local merged = pandoc.Blocks {}
  for _, block in ipairs(blocks) do
    local above = #merged > 0 and cell_code(merged[#merged])
    local first = block.t == 'Div' and block.classes:includes 'cell' and block.content[1] or block
    local is_code = first and first.t == 'CodeBlock' and first.classes:includes 'cell-code'
    if above and is_code and #above.attributes == 0 and #first.attributes == 0 then
      first.text = above.text .. '\n\n' .. first.text
      if first ~= block then block.content[1] = first else block = first end
      merged:remove()
    end
    merged:insert(block)
  end
  return merged
end

-- Callouts, tabs, theorems --------------------------------------------------------------------

local function callout(element, name)
  local title, body = element.content[1].content[1].content, element.content[2].content
  local default = config.titles['callout-' .. name]
  local header = pandoc.Inlines { pandoc.Span({}, { class = 'callout-icon-container' }) }
  if config.strict and stringify(title) ~= default then
    header:insert(pandoc.Span(default .. ':', { class = 'visually-hidden' }))
    header:insert(pandoc.Space())
  end
  header:insert(pandoc.Span(title, { class = 'callout-title-container' }))
  local collapse = take(element.attributes, 'collapse')
  local style = (take(element.attributes, 'appearance') or 'default'):gsub('minimal', 'simple')
  element.attributes.icon = nil
  local others = element.classes:filter(function(class) return class ~= 'callout-' .. name end)
  element.classes = pandoc.List { 'callout', 'callout-style-' .. style, 'callout-' .. name } .. others
  if #title > 0 then element.classes:insert 'callout-titled' end
  body = div({ 'callout-body-container', 'callout-body' }, body)
  if collapse then
    local open = collapse == 'false' and ' open' or ''
    element.content = {
      raw(('<details class="callout-collapse"%s><summary class="callout-header">'):format(open)),
      pandoc.Plain(header),
      raw '</summary>',
      body,
      raw '</details>',
    }
  else
    local head = div({ 'callout-header' }, { pandoc.Plain(header) })
    element.content = #title > 0 and { head, body } or { body }
  end
  return element
end

local tabsets = 0

local function tabset(element)
  tabsets = tabsets + 1
  local names, panes = pandoc.Blocks { raw '<ul class="nav nav-tabs" role="tablist">' }, pandoc.Blocks {}
  for index, tab in ipairs(element.content) do
    local id = ('tabset-%d-%d'):format(tabsets, index)
    local head = tab.content:remove(1)
    local link = '<a class="nav-link" id="%s-tab" href="#%s" role="tab" aria-controls="%s">'
    names:extend {
      raw('<li class="nav-item" role="presentation">' .. link:format(id, id, id)),
      head.content[1],
      raw '</a></li>',
    }
    local role = { { 'role', 'tabpanel' }, { 'aria-labelledby', id .. '-tab' } } -- in this order
    panes:insert(pandoc.Div(tab.content, pandoc.Attr(id, { 'tab-pane' }, role)))
  end
  names:insert(raw '</ul>')
  element.content = names .. { div({ 'tab-content' }, panes) }
  return element
end

local function titled(element, class, word, stop, style)
  local label = pandoc.Inlines { pandoc.Str(word) }
  local name = shared.take(element.content, 'theorem-title')
  if name then label = label .. { pandoc.Str ' (' } .. name[1].content .. { pandoc.Str ')' } end
  local span = pandoc.Span({ style(label), pandoc.Str(stop) }, { class = class })
  local head = pandoc.Inlines { span, pandoc.Space() }
  local first = element.content[1]
  if first and first.t == 'Para' then
    first.content = head .. first.content
  else
    element.content:insert(1, pandoc.Para(head))
  end
  return element
end

local function block(element)
  for _, class in ipairs(element.classes) do
    local name = class:match '^callout%-(%a+)$'
    if name and config.titles[class] then return callout(element, name) end
    if class == 'panel-tabset' then return tabset(element) end
    if class == 'code-annotations' then return annotations(element) end
    if class == 'proof' or class == 'remark' or class == 'solution' then
      if class ~= 'proof' then element.classes:insert(1, 'proof') end
      return titled(element, 'proof-title', config.titles[class], '.', pandoc.Emph)
    end
    if class == 'theorem' then
      local number = take(element.attributes, 'number')
      local word = config.titles[element.classes[#element.classes]] .. NBSP .. number
      return titled(element, 'theorem-title', word, '', pandoc.Strong)
    end
  end
end

-- Headings, formulas, links -------------------------------------------------------------------

local function heading(element)
  local number = take(element.attributes, 'number')
  if number then
    local span = pandoc.Span({ pandoc.Str(number) }, { class = 'header-section-number' })
    element.content = pandoc.Inlines { span, pandoc.Space() } .. element.content
  end
  return element
end

local function equation(span)
  if span.classes:includes 'pagebreak' then
    return pandoc.RawInline('html', '<span class="pagebreak"></span>')
  end
  if not span.classes:includes 'equation' then return end
  local number = '(' .. take(span.attributes, 'number') .. ')'
  span.content:insert(pandoc.Span({ pandoc.Str(number) }, { class = 'equation-number' }))
  return span
end

local function formula(math) -- 0{,}04 is one number: see mathml.py
  math.text = math.text:gsub('(%d){,}(%d)', '%1\\mathord{,}%2')
  return math
end

local function is_kept(inline)
  return inline.t == 'Math' or inline.t == 'Span' and inline.classes:includes 'keep'
end

-- No line begins with a dash. A no-break space does not hold a formula, so both go into one span.
local function keep_together(inlines)
  local kept = pandoc.Inlines {}
  for _, inline in ipairs(inlines) do
    local last = kept[#kept]
    if #kept > 1 and (last.t == 'Space' or last.t == 'SoftBreak') and inline.t == 'Str'
      and inline.text:match '^—' then
      kept:remove()
      inline.text, last = NBSP .. inline.text, kept[#kept]
    end
    local after = last and is_kept(last) and inline.t == 'Str' and inline.text:match('^' .. NBSP)
    local before = last and last.t == 'Str' and inline.t == 'Math' and last.text:match(NBSP .. '$')
    if after or before then
      kept:remove()
      local parts = last.t == 'Span' and last.content or pandoc.Inlines { last }
      inline = pandoc.Span(parts .. { inline }, { class = 'keep' })
    end
    kept:insert(inline)
  end
  return kept
end

local function link(element)
  element.target = address(element.target)
  return element
end

function Pandoc(doc)
  if config.own_title then
    local title = pandoc.utils.blocks_to_inlines(pandoc.read(config.own_title, 'markdown').blocks)
    doc.meta['chapter-title'] = pandoc.MetaInlines(title)
    if config.is_index and not config.strict then -- the page is headed by the title of the book
      local number = config.chapter ~= '' and { number = config.chapter } or {}
      doc.blocks:insert(1, pandoc.Header(1, title, pandoc.Attr('', { 'unnumbered' }, number)))
    end
  end
  local front = pandoc.Blocks {}
  doc.blocks = doc.blocks:filter(function(block)
    local is_front = block.t == 'Div' and block.classes[1] and block.classes[1]:match '^chapter%-'
    if is_front then front:insert(block) end
    return not is_front
  end)
  doc.meta.front = pandoc.MetaBlocks(front)
  for place, top in ipairs(config.is_index and not config.strict and {} or doc.blocks) do
    if top.t == 'Header' and top.level == 1 and not config.own_title then
      doc.meta['chapter-title'] = pandoc.MetaInlines(top.content)
      doc.blocks:remove(place)
      break
    end
  end
  return doc
    :walk({ Blocks = merge_cells, Inlines = keep_together })
    :walk({ Blocks = beside })
    :walk({ Figure = hide_caption, Math = formula })
    :walk({ Div = lay_out, Figure = lay_out })
    :walk({ Image = image, Link = link, Span = equation, Header = heading })
    :walk({ CodeBlock = code, Table = wrap_table })
    :walk({ Div = block, Figure = float })
end
