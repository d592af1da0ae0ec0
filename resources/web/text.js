// Words and numbers as people read them.

/** DICOM's FAMILY^Given^Middle^Prefix^Suffix as "FAMILY, Given Middle"; other scripts in brackets. */
export function personName(value) {
  const groups = value.split("=").map((group) => {
    const [family = "", given = "", middle = "", prefix = "", suffix = ""] = group.split("^").map((p) => p.trim());
    const first = [prefix, given, middle].filter(Boolean).join(" ");
    return [family, first, suffix].filter(Boolean).join(", ");
  });
  const [first, ...others] = groups.filter(Boolean);
  if (!first) return "No name";
  return others.length ? `${first} (${others.join("; ")})` : first;
}

/** YYYYMMDD as YYYY-MM-DD. */
export const date = (value) => value.replace(/^(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3");

export function size(count) {
  return count < 1e5 ? `${Math.max(1, Math.round(count / 1000))} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

/** At most `digits` after the point, none that say nothing. */
export const number = (value, digits = 1) => String(Number(value.toFixed(digits)));

export function node(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
