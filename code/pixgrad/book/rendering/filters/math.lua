-- TeX that texmath drops or does not know -> TeX that says the same. For every format, and for check.

local function outside_text(tex, change) -- what stands in \text{…} has rules of its own
  local kept = {}
  tex = tex:gsub('\\text%w*%s*%b{}', function(text)
    table.insert(kept, text)
    return '\1' .. #kept .. '\2'
  end)
  return (change(tex):gsub('\1(%d+)\2', function(number) return kept[tonumber(number)] end))
end

local function known(tex)
  tex = tex:gsub('\\textcolor%s*%b{}%s*(%b{})', '%1'):gsub('\\color%s*%b{}', '')
  tex = tex:gsub('\\htmlClass%s*%b{}%s*(%b{})', '%1'):gsub('\\htmlId%s*%b{}%s*(%b{})', '%1')
  tex = outside_text(tex, function(rest)
    return (rest:gsub('\\\\', '\0'):gsub('\\&', '\\text{&}'):gsub('%z', '\\\\'))
  end)
  tex = tex:gsub('\\cfrac%f[%A]', '\\dfrac'):gsub('\\nonumber%f[%A]', '')
  tex = tex:gsub('\\notag%f[%A]', ''):gsub('\\label%s*%b{}%s*', '')
  tex = tex:gsub('\\tag%*%s*(%b{})', '\\qquad\\text%1')
  return (tex:gsub('\\tag%s*{(.-)}', '\\qquad\\text{(%1)}'))
end

return { {
  Math = function(element)
    local tex = known(element.text)
    if tex == element.text then return end
    element.text = tex
    return element
  end,
} }
