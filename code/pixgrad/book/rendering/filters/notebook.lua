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
local folder = pandoc.path.directory(PANDOC_SCRIPT_FILE)
local shared = dofile(pandoc.path.join { folder, 'shared.lua' })

local STREAMS = { 'stdout', 'stderr', 'error' }

local result = pandoc.List {}
local pending = pandoc.Blocks {}
local notes = pandoc.List {}
local markdown -- forward

-- 1. What a notebook shows in its own way -----------------------------------------------------

local function link(element)
  if element.classes:includes 'quarto-xref' then -- all notebooks lie in one folder
    local page, id = element.target:match '^([^#]*)#?(.*)$'
    if page == '' and id:match '^eq%-' then return element.content end
    local notebook = page ~= '' and (config.notebooks[page] or '') or ''
    return pandoc.Link(element.content, notebook .. (id ~= '' and '#' .. id or ''))
  end
  if not markdown.is_local(element.target) then
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

markdown = dofile(pandoc.path.join { folder, 'markdown.lua' }) {
  format = 'gfm-tex_math_gfm+tex_math_dollars',
  above = { lst = true },
  image = function(source) -- its end is to be found again
    return 'pixgrad-image:' .. source:gsub('[()<> ]', function(char) return ('%%%02X'):format(char:byte()) end)
  end,
  callout = function(_, title, content)
    return pandoc.BlockQuote(pandoc.Blocks { markdown.bold(title) } .. content)
  end,
  inlines = {
    Link = link,
    Note = function(element)
      notes:insert(element.content)
      return pandoc.Superscript { pandoc.Str(tostring(#notes)) }
    end,
  },
}

-- 2. Outputs of a cell ------------------------------------------------------------------------

-- The text of a stream or of an error, without the colours that it has on the page.
local function printed(block)
  local lines = pandoc.List {}
  block:walk {
    CodeBlock = function(code) lines:insert(code.text) end,
    RawBlock = function(html)
      local plain = pandoc.read(html.text, 'html')
      plain:walk { CodeBlock = function(code) lines:insert(code.text) end }
    end,
  }
  return table.concat(lines, '\n')
end

local function collect(blocks, outputs, captions, count)
  local text = pandoc.Blocks {}
  local function flush_text()
    if #text > 0 then outputs:insert { type = 'markdown', text = markdown.text(text), count = count } end
    text = pandoc.Blocks {}
  end
  local function display(block)
    local images = shared.only_images(block)
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
      if not block.classes:includes 'subfloat' then captions:extend(markdown.caption_of(block)) end
    elseif block.t == 'Div' and not markdown.is_callout(block) and not block.classes:includes 'panel-tabset'
      and not block.classes:includes 'theorem' then
      flush_text()
      local own = block.attributes['execution_count']
      for _, stream in ipairs(STREAMS) do
        if block.classes:includes('cell-output-' .. stream) then
          outputs:insert { type = stream, text = printed(block) .. '\n' }
          return
        end
      end
      if block.classes:includes 'cell-output-markdown' then
        outputs:insert { type = 'markdown', text = markdown.text(block.content), count = own }
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

-- 3. The sequence of cells --------------------------------------------------------------------

local function flush()
  local text = markdown.text(pending)
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
      for _, section in ipairs(markdown.sections(block)) do
        if section.title then pending:insert(markdown.bold(section.title)) end
        emit(section.content)
      end
    elseif block.t == 'Figure' then
      emit(block.content)
      pending:extend(markdown.caption_of(block))
    else
      error('ячейка внутри ' .. block.t .. ' не может стать ячейкой блокнота')
    end
  end
end

-- What is referred to gets an anchor; a formula has no place for one.
local function anchored(element)
  if not element.identifier:match '^%l+%-' then return end
  local anchor = pandoc.RawInline('html', '<a id="' .. element.identifier .. '"></a>')
  if element.t == 'Header' then
    element.content:insert(1, anchor)
  elseif element.classes:includes 'float' then
    local words = pandoc.utils.blocks_to_inlines(element.caption.long)
    words:insert(1, anchor)
    element.caption = { long = { pandoc.Plain(words) } }
  end
  return element
end

-- [printed reference, its words]; the paragraphs stand in the order of config.references.
local function give_words(paragraphs)
  local words = pandoc.List {}
  for index, paragraph in ipairs(paragraphs) do
    words:insert { config.references[index], markdown.text { paragraph } }
  end
  result:insert { type = 'references', words = words }
end

function Pandoc(doc)
  doc = doc:walk { Header = anchored, Figure = anchored, Span = shared.without_hidden }
  local blocks, references = pandoc.Blocks {}, pandoc.Blocks {}
  for _, block in ipairs(doc.blocks) do
    if block.t == 'Div' and block.classes:includes 'notebook-references' then
      give_words(block.content)
    elseif block.t == 'Div' and block.identifier == 'refs' then
      references:insert(block)
    else
      blocks:insert(block)
    end
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
