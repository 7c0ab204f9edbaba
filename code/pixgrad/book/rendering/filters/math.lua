-- TeX that texmath drops or does not know -> TeX that says the same. For every format, and for check.
-- What MathJax knows without being asked counts: braket, cancel, html, mhchem, unicode, gensymb.

local function outside_text(tex, change) -- what stands in \text{…} has rules of its own
  local kept = {}
  tex = tex:gsub('\\text%w*%s*%b{}', function(text)
    table.insert(kept, text)
    return '\1' .. #kept .. '\2'
  end)
  return (change(tex):gsub('\1(%d+)\2', function(number) return kept[tonumber(number)] end))
end

local OTHERWISE = { -- a command -> what says the same
  cfrac = '\\dfrac', nonumber = '', notag = '', dbinom = '\\binom', tbinom = '\\binom',
  hphantom = '\\phantom', mathstrut = '', strut = '', hfill = '', centering = '', newline = '',
  tiny = '', scriptsize = '', footnotesize = '', small = '', normalsize = '', large = '', Large = '',
  LARGE = '', huge = '', Huge = '', idotsint = '\\int\\cdots\\int', surd = '\\text{√}', empty = '\\varnothing',
  S = '\\text{§}', P = '\\text{¶}', O = '\\text{Ø}', AA = '\\text{Å}', permil = '\\text{‰}',
  perthousand = '\\text{‰}', degree = '{}^{\\circ}', textdegree = '{}^{\\circ}', celsius = '{}^{\\circ}\\mathrm{C}',
  ohm = '\\Omega', micro = '\\mu', thinspace = '\\,', negthinspace = '\\!', medspace = '\\:', thickspace = '\\;',
  enspace = '\\;', vcentcolon = ':', injlim = '\\operatorname{inj\\,lim}', projlim = '\\operatorname{proj\\,lim}',
  varlimsup = '\\overline{\\lim}', varliminf = '\\underline{\\lim}',
  Bbb = '\\mathbb', bold = '\\mathbf', frak = '\\mathfrak', cal = '\\mathcal', bf = '\\mathbf', rm = '\\mathrm',
  it = '\\mathit', sf = '\\mathsf', tt = '\\mathtt',
}
local SWITCHES = pandoc.List { 'bf', 'rm', 'it', 'sf', 'tt', 'cal' } -- of all that follows in a group
local BARE = 'smash mathrlap mathllap mathclap rlap llap clap mathbin mathrel mathord mathopen mathclose '
  .. 'mathpunct mathinner shoveleft shoveright'
local SECOND = 'href class style cssId htmlClass htmlId htmlStyle textcolor colorbox enclose raisebox mathtip'

local function chemistry(formula) -- \ce{H2O <=> H+ + OH-}
  formula = formula:gsub('%s*<=+>%s*', ' \\rightleftharpoons '):gsub('%s*<%-+>%s*', ' \\leftrightarrow ')
  formula = formula:gsub('%s*%-+>%s*', ' \\rightarrow '):gsub('%^(%d*[+-])', '^{%1}')
  formula = formula:gsub('([%w%)%]])([+-])%f[%s%z)%]]', '%1^{%2}'):gsub('([%a%)%]])(%d+)', '%1_{%2}')
  return '\\mathrm{' .. formula .. '}'
end

local function in_groups(tex) -- {\bf x}, {a \over b}
  return (tex:gsub('%b{}', function(group)
    local inner = in_groups(group:sub(2, -2))
    local switch, rest = inner:match '^%s*\\(%a+)%s*(.*)$'
    if SWITCHES:includes(switch or '') then return OTHERWISE[switch] .. '{' .. rest .. '}' end
    local top, bottom = inner:match '^(.-)\\over%f[%A]%s*(.*)$'
    if top then return '{\\frac{' .. top .. '}{' .. bottom .. '}}' end
    return '{' .. inner .. '}'
  end))
end

local function brakets(tex)
  tex = tex:gsub('\\[Bb]ra%f[%A]%s*(%b{})', '\\langle %1 |'):gsub('\\[Kk]et%f[%A]%s*(%b{})', '| %1 \\rangle ')
  tex = tex:gsub('\\[Bb]raket%f[%A]%s*(%b{})', '\\langle %1 \\rangle ')
  return (tex:gsub('\\[Ss]et%f[%A]%s*(%b{})', '\\{ %1 \\}'))
end

local function is_broken(tex) -- by line ends that stand in nothing: then these are rows
  local depth = 0
  for mark, word in tex:gsub('\\[{}]', ''):gmatch '([\\{}%z])(%a*)' do
    if mark == '\0' and depth == 0 then return true end
    if mark == '{' or word == 'begin' or word == 'left' then depth = depth + 1 end
    if mark == '}' or word == 'end' or word == 'right' then depth = depth - 1 end
  end
end

local function known(tex)
  if not tex:find '\\' then return tex end
  tex = tex:gsub('\\\\', '\0') -- line ends are no beginnings of commands
  tex = tex:gsub('\\color%s*%b{}', ''):gsub('\\label%s*%b{}%s*', ''):gsub('\\require%s*%b{}', '')
  tex = tex:gsub('\\definecolor%s*%b{}%s*%b{}%s*%b{}', ''):gsub('\\hspace%*', '\\hspace')
  tex = tex:gsub('\\vspace%*?%s*%b{}', ''):gsub('\\rule%s*%b{}%s*%b{}', ''):gsub('\\vphantom%s*%b{}', '')
  for name in ('kern mkern hskip mskip raise lower'):gmatch '%a+' do
    local space = name:find 'k' and '\\;' or ''
    tex = tex:gsub('\\' .. name .. '%s*%-?[%d.]+%s*%a%a%f[%A]', space)
  end
  tex = tex:gsub('\\ce%f[%A]%s*(%b{})', function(formula) return chemistry(formula:sub(2, -2)) end)
  tex = tex:gsub('\\unicode%s*{x(%x+)}', function(code) return '\\text{' .. utf8.char(tonumber(code, 16)) .. '}' end)
  tex = tex:gsub('\\fbox%s*(%b{})', '\\boxed{\\text%1}'):gsub('\\verb(%A)(.-)%1', '\\text{%2}')
  tex = tex:gsub('\\def%s*(\\%a+)%s*(%b{})', '\\newcommand{%1}%2'):gsub('\\bbox%s*%b[]', '')
  for name in SECOND:gmatch '%a+' do
    tex = tex:gsub('\\' .. name .. '%f[%A]%s*%b{}%s*(%b{})', '%1')
  end
  for name in BARE:gmatch '%a+' do tex = tex:gsub('\\' .. name .. '%f[%A]%s*(%b{})', '%1') end
  tex = tex:gsub('\\root%s*(.-)%s*\\of%s*(%b{})', '\\sqrt[%1]%2'):gsub('\\root%s*(.-)%s*\\of%s*(%w)', '\\sqrt[%1]{%2}')
  tex = tex:gsub('\\prescript%s*(%b{})%s*(%b{})%s*(%b{})', '{}^%1_%2%3'):gsub('{dcases}', '{cases}')
  tex = tex:gsub('\\begin{rcases}(.-)\\end{rcases}', '\\left.\\begin{array}{l}%1\\end{array}\\right\\}')
  tex = tex:gsub('\\intertext%s*(%b{})', '\\text%1\0')
  tex = outside_text(tex, function(rest) return (in_groups(rest):gsub('\\&', '\\text{&}')) end)
  tex = brakets(tex):gsub('\\textsc%f[%A]', '\\text')
  if not tex:find '\\newcommand' then
    tex = tex:gsub('\\(%a+)', OTHERWISE)
  end
  tex = tex:gsub('\\tag%*%s*(%b{})', '\\qquad\\text%1'):gsub('\\tag%s*{(.-)}', '\\qquad\\text{(%1)}')
  if is_broken(tex) then tex = '\\begin{gathered}' .. tex .. '\\end{gathered}' end
  return (tex:gsub('%z', '\\\\'))
end

return { {
  Math = function(element)
    local tex = known(element.text)
    if tex == element.text then return end
    element.text = tex
    return element
  end,
} }
