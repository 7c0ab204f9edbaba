-- A numbered page (see crossref.lua, which runs first, and citeproc) -> markdown as GitHub shows it:
-- the document leaves as one raw block. Addresses of pictures are marked with `pixgrad-image:`; the
-- caller puts the pictures beside the page. A reference without an address becomes text.
-- $PIXGRAD_CHAPTER has besides what crossref.lua needs: `pages`, chapter -> what to link to instead.

local config = pandoc.json.decode(os.getenv 'PIXGRAD_CHAPTER', false)
local folder = pandoc.path.directory(PANDOC_SCRIPT_FILE)
local anchors = {} -- identifier of a heading -> its anchor on GitHub
local markdown -- forward

local function link(element)
  if element.target == '' then return element.content end
  local anchor = anchors[element.target:match '^#(.+)']
  local page = config.pages[element.target:match '^[^#]*']
  return pandoc.Link(element.content, anchor and '#' .. anchor or page or element.target)
end

local function alert(kind, title, content)
  local is_own = pandoc.utils.stringify(title) ~= config.titles['callout-' .. kind]
  if is_own then content:insert(1, markdown.bold(title)) end
  local label = pandoc.Div({ pandoc.Para(kind) }, pandoc.Attr('', { 'title' }))
  return pandoc.Div(pandoc.Blocks { label } .. content, pandoc.Attr('', { kind }))
end

local shared = dofile(pandoc.path.join { folder, 'shared.lua' })
markdown = dofile(pandoc.path.join { folder, 'markdown.lua' }) {
  format = 'gfm',
  above = { lst = true, tbl = true },
  image = function(source) return 'pixgrad-image:' .. source end,
  callout = alert,
  inlines = {
    Link = link,
    Math = function(math) -- a macro that GitHub does not let through, and its twin
      math.text = math.text:gsub('\\operatorname%*?%f[^%a*]', '\\mathrm')
      return math
    end,
  },
}

local function headings(doc)
  local found = pandoc.Blocks {}
  doc:walk { Header = function(element) found:insert(element) end }
  return found
end

-- What GitHub calls the headings: pandoc's reader knows its rules, repeated headings included.
local function find_anchors(doc)
  local own = headings(doc)
  for index, heading in ipairs(headings(pandoc.read(markdown.text(own), 'gfm'))) do
    anchors[own[index].identifier] = heading.identifier
  end
end

function Pandoc(doc)
  doc = doc:walk {
    Span = shared.without_hidden,
    Header = function(element) -- an anchor would lose a non-breaking space
      return element:walk { Str = function(str) return (str.text:gsub('\u{a0}', ' ')) end }
    end,
    RawBlock = function(raw) -- the text of a style sheet would be shown
      raw.text = raw.text:gsub('<style.->.-</style>', '')
      return raw
    end,
  }
  find_anchors(doc)
  return pandoc.Pandoc { pandoc.RawBlock('markdown', markdown.text(doc.blocks)) }
end
