/** What differs between two values, a line for each place; at most `most`. */
export function changesOf(before, after, most = 30) {
  const changes = []
  compare(before, after, '', changes, most)
  return changes
}

function compare(before, after, path, changes, most) {
  if (changes.length >= most || Object.is(before, after)) return
  if (isObject(before) && isObject(after) && Array.isArray(before) === Array.isArray(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const at = Array.isArray(after) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`
      compare(before[key], after[key], at, changes, most)
    }
    return
  }
  changes.push({ path, before, after })
}

const isObject = (value) => typeof value === 'object' && value !== null
