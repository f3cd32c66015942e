// Numbers as people read them. A value that nobody knows is said to be unknown, never 0.
export const NS = 1e9;

export function mhz(hz, digits = 6) {
  return `${+(hz / 1e6).toFixed(digits)}`;
}

export function band(low, high) {
  return `${mhz(low, 3)}–${mhz(high, 3)} MHz`;
}

// The edges of a band, or of a part of another quantity, such as bit/s.
export function amount(one) {
  if (!one.unit) return band(one.low_hz, one.high_hz);
  const [size, prefix] = [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']].find(([least]) => one.high_hz >= least) ?? [1, ''];
  return `${+(one.low_hz / size).toPrecision(12)}–${+(one.high_hz / size).toPrecision(12)} ${prefix}${one.unit}`;
}

export function dbm(mdb) {
  return mdb === null || mdb === undefined ? '–' : `${(mdb / 1000).toFixed(1)} dBm`;
}

export function span(ns) {
  if (ns === null || ns === undefined) return 'unknown';
  const size = Math.abs(ns);
  if (size >= 3600e9) return `${Math.floor(size / 3600e9)} h ${Math.floor(size / 60e9) % 60} min`;
  if (size >= 60e9) return `${Math.floor(size / 60e9)} min ${Math.floor(size / 1e9) % 60} s`;
  if (size >= 1e9) return `${(size / 1e9).toFixed(1)} s`;
  if (size >= 1e6) return `${+(size / 1e6).toPrecision(3)} ms`;
  if (size >= 1e3) return `${+(size / 1e3).toPrecision(3)} µs`;
  return `${Math.round(size)} ns`;
}

export function clockText(ns, digits = 0) {
  const at = new Date(ns / 1e6);
  const text = at.toISOString();
  return digits ? text.slice(11, 20 + digits) : text.slice(11, 19);
}

export function dayText(ns) {
  return new Date(ns / 1e6).toISOString().slice(0, 10);
}

export function metres(m) {
  return m >= 1000 ? `${+(m / 1000).toPrecision(3)} km` : `${+m.toPrecision(3)} m`;
}

// An element with text, classes and children; text is always text, never markup.
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) made.setAttribute(name, String(value));
  }
  made.append(...children.map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return made;
}

// Put rows of cells into a table's body; nothing is touched where nothing changed.
export function fill(table, rows, nothing) {
  const body = table.tBodies[0];
  const columns = table.tHead.rows[0].cells.length;
  const shown = rows.length ? rows : [[make('td', { colspan: columns, class: 'nothing' }, nothing)]];
  const said = JSON.stringify(shown.map((row) => row.map((cell) => (cell instanceof Node ? cell.outerHTML : String(cell)))));
  if (body.dataset.said === said) return;
  body.dataset.said = said;
  body.replaceChildren(...shown.map((row) => make('tr', {}, ...row.map((cell) =>
    (cell instanceof HTMLTableCellElement ? cell : make('td', {}, cell))))));
}

export function fillPairs(list, pairs) {
  const said = JSON.stringify(pairs);
  if (list.dataset.said === said) return;
  list.dataset.said = said;
  list.replaceChildren(...pairs.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]));
}

export function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// A canvas as sharp as the screen; returns its context in CSS pixels, or null while it has no size.
export function sharp(canvas) {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width || !height) return null;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}
