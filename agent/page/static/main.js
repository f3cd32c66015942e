// The page: what the node says as it says it, on one axis of time, and at every instant why the radio is silent.
import { band, clockText, css, dayText, dbm, fill, fillPairs, make, metres, mhz, span } from './format.js';
import { Rows, Stream, askStop, hasToken, keepToken, read, readSpectra, takeToken } from './link.js';
import { bearing, distance, drawMap } from './map.js';
import { showMarket } from './market.js';
import { LETTER, Lanes, Overlay, boxRow, laneAt, stretchRow, stretches } from './plane.js';
import { Spectrum } from './spectrum.js';
import { Waterfall } from './waterfall.js';
import { CIVIDIS } from './palette.js';

const STALE_MS = 2000, CUT_MS = 2500, KEPT_NS = 150e9, LIVE_ROWS_NS = 120e9, FRAME_MS = 40;
const SPANS = [[20, '20 s'], [120, '2 min'], [900, '15 min'], [3600, '1 h'], [21600, '6 h'], [86400, '24 h']];
const AHEAD = 0.14;  // of the axis: what is settled and offered for later
const el = (id) => document.getElementById(id);

const state = {
  node: '', live: null, heardAt: -1e9, answeredAt: -1e9, ageMs: null, offsetMs: null, lanes: [], kept: [], events: [], reasons: {},
  boxesThen: [], cursor: null, marker: null, dirty: true, tables: 0, request: null,
};
const view = { spanNs: 20e9, topNs: 0, nowNs: 0, live: true, lowHz: 0, highHz: 1 };
const narrow = () => matchMedia('(max-width: 720px)').matches;
const left = () => (narrow() ? 48 : 66), right = () => (narrow() ? 76 : 132);
const waterfall = new Waterfall(el('waterfall'));
const overlay = new Overlay(el('overlay'), left);
const lanes = new Lanes(el('lanes'));
const spectrum = new Spectrum(el('spectrum'), left, right);
let stream = null, rows = null;

// -- time --------------------------------------------------------------------------------------------------------

function utcNs() {
  return state.offsetMs === null ? 0 : (performance.now() + state.offsetMs) * 1e6;
}

function ageNow() {
  return state.ageMs === null ? null : state.ageMs + performance.now() - state.heardAt;
}

function isStale() {
  const age = ageNow();
  return age === null || age > STALE_MS;
}

// -- what the node says ------------------------------------------------------------------------------------------

function heard(kind, body) {
  state.answeredAt = performance.now();
  if (kind === 'state') takeState(body);
  else if (kind === 'gate') takeGate(body);
  else if (kind === 'event') takeEvents([body]);
  else if (kind === 'beat' && state.live) { state.live.silence = body.silence; why(); }
  state.dirty = true;
}

function takeState(body) {
  const before = state.live;
  state.live = body;
  over(before?.boxes ?? [], body.boxes, utcNs());
  if (body.age_ms === null) { why(); return; }
  state.heardAt = performance.now();
  state.ageMs = body.age_ms;
  if (body.utc_ns) {
    const offset = body.utc_ns / 1e6 + body.age_ms - performance.now();
    const drift = state.offsetMs === null ? Infinity : Math.abs(offset - state.offsetMs);
    state.offsetMs = drift > 500 ? offset : state.offsetMs + 0.2 * (offset - state.offsetMs);
    keepLane(body);
  }
  spectrum.calibrate(body.status.level);
  if (!before?.status) restart();
  showAll();
}

// Boxes that are told of no more ended then; they stay on the axis as what was.
function over(before, after, atNs) {
  const there = new Set(after.map((one) => one.kind + one.id));
  for (const one of before) {
    if (there.has(one.kind + one.id)) continue;
    state.boxesThen = state.boxesThen.filter((old) => old.kind + old.id !== one.kind + one.id);
    state.boxesThen.push({ ...one, state: 'ENDED', end_ns: Math.min(one.end_ns ?? Infinity, atNs) });
  }
  state.boxesThen = state.boxesThen.slice(-500);
}

// The lane of a second that just passed, as the history will have it.
function keepLane(body) {
  const gate = body.status.gate ?? {}, clock = body.status.clock, silence = body.silence;
  const bursts = gate.bursts ?? 0, sent = Math.max(0, bursts - (state.bursts ?? bursts));
  state.bursts = bursts;
  const end = utcNs(), last = state.lanes.at(-1);
  const from = last ? Math.max(end - 1.5e9, last.t + last.n) : end - 1e9;
  if (end <= from) return;
  const fresh = state.events.filter((one) => one.event === 'incumbent' && one.atNs > from - 2e8 && one.atNs <= end);
  const open = silence.state === 'OPEN';
  state.lanes.push({
    t: from, n: end - from, g: silence.state, o: open ? (end - from) / 1e6 : 0, b: sent, r: silence.reason,
    c: silence.clause, m: silence.measured, q: silence.required, k: [clock.trusted, clock.bound_ns, clock.budget_ns],
    i: fresh.map((one) => [one.low_hz, one.high_hz, one.kind]),
  });
  while (state.lanes.length > 4000) state.lanes.shift();
}

function takeGate(body) {
  if (body.asked || !state.live) return;
  const was = state.live.silence.state === body.previous ? state.live.silence : null;
  state.live.silence = body.silence;
  why();
  if (state.stopping && body.state === 'LATCHED') tell('Gate latched; reading the radio back on a fresh connection…');
  const now = utcNs(), last = state.lanes.at(-1), at = last ? last.t + last.n : now - 1e6;
  if (now > at) {
    state.lanes.push({
      t: at, n: now - at, g: body.previous, o: body.previous === 'OPEN' ? (now - at) / 1e6 : 0, b: 1, r: was?.reason ?? '',
      c: was?.clause ?? '', m: was?.measured ?? '', q: was?.required ?? '', k: last?.k ?? [false, null, null], i: [],
    });
  }
  // For whoever measures: when the host said it, and when the screen showed it.
  el('why').dataset.toldNs = String(body.told_ns);
  requestAnimationFrame(() => { el('why').dataset.shownMs = String(performance.timeOrigin + performance.now()); });
}

function takeEvents(fresh) {
  const nowMono = state.live?.mono_ns ?? 0, nowUtc = utcNs();
  const known = new Set(state.events.map((one) => `${one.mono_ns} ${one.event}`));
  for (const one of fresh.filter((each) => !known.has(`${each.mono_ns} ${each.event}`))) {
    const atNs = one.at_ns ?? (fresh.length === 1 ? nowUtc : nowUtc - (nowMono - one.mono_ns));
    state.events.push({ ...one, atNs });
  }
  state.events.sort((a, b) => a.atNs - b.atNs);
  while (state.events.length > 400) state.events.shift();
  showEvents();
}

function heardRow(row) {
  view.lowHz = row.lowHz;
  view.highHz = row.highHz;
  state.kept.push(row);
  while (state.kept.length && state.kept[0].atNs < row.atNs - KEPT_NS) state.kept.shift();
  if (view.live) {
    spectrum.take(row.codes);
    if (view.spanNs <= LIVE_ROWS_NS) waterfall.put(row.atNs, 0, row.codes, row.lowHz, row.highHz);
  }
  state.dirty = true;
}

// -- the window --------------------------------------------------------------------------------------------------

function follow() {
  view.nowNs = utcNs();
  if (view.live) view.topNs = view.nowNs + AHEAD * view.spanNs;
  if (!seen(state.cursor)) setCursor(null);
}

// Whether a cursor is on the picture, as far as it tells of an instant: time goes on, and takes what is live out of it.
function seen(cursor) {
  return !cursor || cursor.ns === null || (cursor.ns <= view.topNs && cursor.ns >= view.topNs - view.spanNs);
}

// Begin the picture anew: what is kept here, and before that what the history has.
async function restart() {
  follow();
  if (!view.nowNs || !waterfall.begin(view.spanNs)) return;
  state.request?.abort();
  const request = state.request = new AbortController();
  const fromNs = Math.max(0, Math.floor(view.topNs - view.spanNs)), toNs = Math.ceil(Math.min(view.topNs, view.nowNs));
  const at = { node: state.node, from_ns: fromNs.toFixed(0), to_ns: toNs.toFixed(0) };
  el('pictures').setAttribute('aria-busy', 'true');
  try {
    const [found, held, told] = await Promise.all([
      readSpectra(at, request.signal), read('lanes', at, request.signal), read('events', at, request.signal),
    ]);
    if (request.signal.aborted) return;
    waterfall.advance(Math.floor(Math.min(view.topNs, view.nowNs) / waterfall.slotNs));
    if (found.rows.length && view.highHz === 1) { view.lowHz = found.lowHz; view.highHz = found.highHz; }
    const short = view.spanNs <= LIVE_ROWS_NS && view.live;
    const since = short && state.kept.length ? state.kept[0].atNs : Infinity;
    for (const row of found.rows) if (row.atNs < since) waterfall.put(row.atNs, found.lengthNs, row.codes, found.lowHz, found.highHz);
    if (short) for (const row of state.kept) if (row.atNs > fromNs) waterfall.put(row.atNs, 0, row.codes, row.lowHz, row.highHz);
    const newest = held.length ? held.at(-1).t + held.at(-1).n : 0;
    state.lanes = [...held, ...state.lanes.filter((one) => one.t >= newest && one.t < toNs)];
    const said = told.filter((one) => one.event === 'boxes');
    said.forEach((one, n) => over(one.boxes, said[n + 1]?.boxes ?? state.live?.boxes ?? [], said[n + 1]?.at_ns ?? utcNs()));
    const known = new Set(state.events.map((one) => one.mono_ns));
    const older = told.filter((one) => one.event !== 'boxes' && !known.has(one.mono_ns)).map((one) => ({ ...one, atNs: one.at_ns }));
    state.events = [...older, ...state.events].slice(-400);
    state.loaded = performance.now();
    showEvents();
    showLaneTable();
  } catch (error) {
    if (!request.signal.aborted) console.warn(error.message);
  } finally {
    el('pictures').removeAttribute('aria-busy');
    state.dirty = true;
  }
}

function setSpan(seconds) {
  view.spanNs = seconds * 1e9;
  for (const button of el('spans').children) button.setAttribute('aria-pressed', String(Number(button.value) === seconds));
  restart();
}

function move(share) {
  const top = view.topNs + share * view.spanNs, latest = utcNs() + AHEAD * view.spanNs;
  view.live = top >= latest;
  const before = view.topNs;
  view.topNs = Math.min(top, latest);
  // The cursor stays where it is on the picture: it is never at an instant that is not seen.
  if (state.cursor && state.cursor.ns !== null) setCursor({ ...state.cursor, ns: state.cursor.ns + view.topNs - before });
  el('live').setAttribute('aria-pressed', String(view.live));
  clearTimeout(state.later);
  state.later = setTimeout(restart, 60);
}

function goLive() {
  view.live = true;
  el('live').setAttribute('aria-pressed', 'true');
  restart();
}

// -- showing -----------------------------------------------------------------------------------------------------

function boxes() {
  const live = state.live?.boxes ?? [];
  const named = new Map(state.boxesThen.map((one) => [one.id + one.kind, one]));
  for (const one of live) named.set(one.id + one.kind, one);
  return [...named.values()];
}

// An instant of the past; its day too where that is not today.
function instant(ns) {
  return `${dayText(ns) === dayText(utcNs()) ? '' : `${dayText(ns)} `}${clockText(ns, 1)}Z`;
}

// Nothing is heard of now: from the node, which the page's server then says why, or from that server either.
function unknown(silence) {
  const cut = performance.now() - state.answeredAt;
  if (cut < CUT_MS && silence.state === 'UNKNOWN') return silence;
  const [meaning, mend] = cut < CUT_MS
    ? [`Nothing heard from the node for ${span(ageNow() * 1e6)}`, 'STOP, or `bandpact stop` on the node, or take the power away']
    : [`The page's server has not answered for ${span(cut * 1e6)}: it ended, or the network to it is cut`,
      'on the node: `bandpact stop`, or take the power away; STOP here may not reach it. Then `bandpact status` there'];
  return { state: 'UNKNOWN', meaning, mend, clause: '', measured: '', required: '' };
}

function showWhy(silence, atNs = null) {
  const now = atNs === null;
  const shown = now && isStale() && state.live ? unknown(silence) : silence;
  const title = { OPEN: 'MAY TRANSMIT', UNKNOWN: 'UNKNOWN: treat as ON', LATCHED: 'SILENT, latched', LOCKED: 'SILENT, not armed', ARMED: 'SILENT' };
  el('why').dataset.state = shown.state;
  el('why-lamp').textContent = LETTER[shown.state] ?? '?';
  el('why-state').textContent = `${title[shown.state] ?? shown.state}${shown.reason && shown.reason !== shown.state ? `: ${shown.reason}` : ''}`;
  el('why-at').textContent = now ? '' : `at ${instant(atNs)}, under the cursor`;
  el('why').dataset.then = String(!now);
  el('why-meaning').textContent = shown.meaning;
  el('why-before').textContent = shown.before ?? '';
  el('why-clause').textContent = shown.clause || '–';
  el('why-measured').textContent = shown.measured || '–';
  el('why-required').textContent = shown.required || '–';
  el('why-mend').replaceChildren(...mend(shown.mend || 'nothing'));
}

function mend(text) {
  return text.split('`').map((part, n) => (n % 2 ? make('code', {}, part) : part));
}

function showAge() {
  const age = ageNow(), stale = isStale();
  document.body.dataset.stale = String(stale);
  el('age').dataset.live = String(!stale);
  el('age').textContent = age === null ? 'NOTHING YET' : `${stale ? 'STALE' : 'LIVE'} ${(age / 1000).toFixed(1)} s`;
  if (state.offsetMs !== null) el('utc').textContent = clockText(utcNs());
}

function showAll() {
  const { status } = state.live;
  el('node-name').textContent = status.node;
  document.title = `${LETTER[state.live.silence.state] ?? '?'} ${status.node} – bandpact`;
  el('kind').textContent = status.simulation ? 'SIMULATION' : 'REAL RADIO';
  el('kind').dataset.real = String(!status.simulation);
  why();
  showClock(status.clock);
  showChannels(status.channels);
  showPlaces(status);
  showLog(status);
  showBoxes();
  showMarket(state.live, utcNs());
}

function showBoxes() {
  const order = { settlement: 0, offer: 1 };
  const now = utcNs();
  const found = (state.live?.boxes ?? []).filter((one) => one.end_ns === null || one.end_ns > now)
    .sort((a, b) => order[a.kind] - order[b.kind] || a.low_hz - b.low_hz);
  fill(el('boxes'), found.map((one) => boxRow(make, one, now)), 'no settlement and no offer now');
}

function showChannels(channels) {
  fill(el('channels'), channels.map((one) => {
    const word = one.state === 'unknown' ? 'not sensed' : one.state;
    const range = make('div', { class: one.occupancy ? 'range' : 'range none' });
    if (one.occupancy) {
      const [low, high] = one.occupancy, bar = make('i');
      bar.style.left = `${100 * low}%`;
      bar.style.width = `max(3px, ${100 * (high - low)}%)`;
      range.append(bar);
    }
    const text = one.occupancy ? `${one.occupancy.map((x) => (100 * x).toFixed(x > 0 && x < 0.1 ? 1 : 0)).join('–')} %` : 'not sensed';
    return [band(one.low_hz, one.high_hz), make('span', { class: 'tag', 'data-is': one.state }, word),
      make('div', {}, range, make('span', { class: 'small' }, text))];
  }), 'no channel is configured');
}

function showClock(clock) {
  const { bound_ns: bound, budget_ns: budget } = clock;
  const share = bound === null || !budget ? 100 : Math.min(100, 100 * bound / budget);
  el('clock-line').textContent = `${clock.trusted ? 'trusted' : 'NOT TRUSTED'}: ${span(bound)} of ${span(budget)} allowed; ${clock.reason}`
    + (clock.holdover_left_ns ? `; holds for ${span(clock.holdover_left_ns)}` : '');
  const meter = el('clock-meter');
  meter.dataset.over = String(!clock.trusted || bound === null || bound > budget);
  meter.setAttribute('aria-valuenow', share.toFixed(0));
  meter.setAttribute('aria-valuetext', `${span(bound)} of ${span(budget)}`);
  meter.firstElementChild.style.width = `${share}%`;
  const place = clock.position;
  el('place-line').textContent = `${place.trusted ? '' : 'place NOT TRUSTED: '}${Math.abs(place.lat_deg).toFixed(5)}°${place.lat_deg < 0 ? 'S' : 'N'} `
    + `${Math.abs(place.lon_deg).toFixed(5)}°${place.lon_deg < 0 ? 'W' : 'E'} ± ${metres(place.radius_mm / 1000)}; ${place.source}, ${place.reason}`;
  fill(el('sources'), clock.sources.map((one) => [one.name, one.standing, span(one.bound_ns),
    one.age_ns === null ? '–' : span(one.age_ns)]), 'no time source');
}

function heardAgo(name) {
  const one = state.live?.status.neighbours.find((peer) => peer.name === name);
  if (!one || one.heard_mono_ns === null) return null;
  return Math.max(0, state.live.mono_ns - one.heard_mono_ns) + (performance.now() - state.heardAt) * 1e6;
}

function showPlaces(status) {
  const own = status.places.find((one) => one.own)?.position;
  fill(el('places'), status.places.filter((one) => !one.own).map((one) => {
    const ago = heardAgo(one.name), away = own && one.position;
    const far = away ? `${metres(distance(own, one.position))} ${bearing(own, one.position)} ± ${metres(own.radius_m + one.position.radius_m)}` : 'not told';
    return [one.name, far, ago === null ? 'never' : `${span(ago)} ago`,
      one.their_head ? make('span', {}, `${one.their_head.size} `, make('code', {}, one.their_head.root.slice(0, 8))) : 'not seen',
      one.witnessed_size ? `up to ${one.witnessed_size}` : 'not yet'];
  }), 'no neighbour is configured');
}

function showLog(status) {
  const log = status.log;
  const witnesses = status.places.filter((one) => !one.own && one.witnessed_size > 0).length;
  const bytes = (n) => (n === null ? 'unknown' : n >= 1e9 ? `${(n / 1e9).toFixed(1)} GB` : `${(n / 1e6).toFixed(1)} MB`);
  fillPairs(el('log'), [
    ['records', log ? String(log.size) : 'unknown'],
    ['head', log ? log.root.slice(0, 24) : 'unknown'],
    ['witnesses', log ? `${witnesses} of ${status.places.length - 1} neighbours, ${log.witness_quorum} required` : 'unknown'],
    ['state', log?.halted ? `HALTED: ${log.halted}` : 'whole'],
    ['disk', `${bytes(status.log_bytes)} of ${bytes(status.log_budget_bytes)}${status.disk_low ? ` LOW: ${status.disk_low}` : ''}`],
    ['connections', `${status.mesh.connections} of ${status.mesh.limits.connections}`],
    ['history', state.live.history_fault ?? 'kept'],
    ...status.alarms.map((one) => ['ALARM', one]),
    ...Object.entries(state.live.problems).map(([part, why]) => [`not ready: ${part}`, why]),
  ]);
}

// Hashes by how they begin: the whole of them is in the log and in the export.
const short = (text) => text.replace(/\b([0-9a-f]{8})[0-9a-f]{16,}\b/g, '$1…');

function said(one) {
  const { event, mono_ns: _m, node: _n, atNs: _a, at_ns: _t, sid, ...rest } = one;
  const words = Object.entries(rest).filter(([, value]) => value !== '' && value !== null && !/_ns$/.test(value === null ? '' : ''))
    .filter(([name]) => !/_ns$/.test(name))
    .map(([name, value]) => `${name.replace(/_hz$/, '')} ${/_hz$/.test(name) ? `${mhz(value, 3)} MHz` : Array.isArray(value) ? value.join(' ') : typeof value === 'object' ? Object.entries(value).map(([of, n]) => `${of} ${n}`).join(', ') || 'nothing' : value}`);
  return short((sid ? `${String(sid).slice(0, 8)} ` : '') + words.join(', '));
}

function showEvents() {
  const refusals = state.events.filter((one) => one.event === 'refusal' || one.event === 'refused');
  const counts = new Map();
  for (const one of refusals) counts.set(one.reason, (counts.get(one.reason) ?? 0) + 1);
  el('refusal-counts').textContent = counts.size
    ? [...counts].sort((a, b) => b[1] - a[1]).map(([reason, count]) => `${reason} ${count}`).join(', ') : 'none among the events kept here';
  fill(el('refusals'), refusals.slice(-60).reverse().map((one) => [clockText(one.atNs), one.peer ?? 'us', one.detail ? short(one.detail) : said(one)]), 'nothing was refused');
  const wanted = el('filter').value.toLowerCase();
  const found = state.events.filter((one) => !wanted || JSON.stringify(one).toLowerCase().includes(wanted));
  fill(el('events'), found.slice(-120).reverse().map((one) => [clockText(one.atNs), one.event, said(one)]), 'no events');
}

function showLaneTable() {
  const shown = state.lanes.filter((one) => one.t + one.n > view.topNs - view.spanNs && one.t < view.topNs);
  fill(el('lane-table'), stretches(shown).slice(0, 60).map(stretchRow), 'nothing is known of this time');
  fill(el('spectrum-table'), spectrum.rows(state.live?.status?.channels ?? [], view), 'no channel is configured');
}

function drawTrace() {
  const canvas = el('clock-trace'), pen = canvas.getContext('2d');
  const ratio = Math.min(2, devicePixelRatio || 1), width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width) return;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  pen.scale(ratio, ratio);
  const shown = state.lanes.filter((one) => one.t + one.n > view.topNs - view.spanNs && one.k[1] !== null && one.k[2]);
  if (!shown.length) return;
  const budget = shown.at(-1).k[2], top = Math.max(budget * 1.15, ...shown.map((one) => one.k[1]));
  const x = (ns) => (ns - (view.topNs - view.spanNs)) / view.spanNs * width, y = (ns) => height - 2 - ns / top * (height - 14);
  pen.font = '10px system-ui, "DejaVu Sans", sans-serif';
  pen.strokeStyle = css('--accent');
  pen.setLineDash([5, 3]);
  pen.beginPath();
  pen.moveTo(0, y(budget));
  pen.lineTo(width, y(budget));
  pen.stroke();
  pen.setLineDash([]);
  pen.fillStyle = css('--soft');
  pen.fillText(`budget ${span(budget)}`, 4, y(budget) - 3);
  pen.strokeStyle = css('--link');
  pen.lineWidth = 1.6;
  pen.beginPath();
  shown.forEach((one, n) => pen[n ? 'lineTo' : 'moveTo'](x(one.t + one.n / 2), y(one.k[1])));
  pen.stroke();
}

// -- the frame ---------------------------------------------------------------------------------------------------

let lastFrame = 0, lastSecond = 0;

function frame(at) {
  requestAnimationFrame(frame);
  if (at - lastFrame < FRAME_MS || document.hidden) return;
  lastFrame = at;
  showAge();
  follow();
  const stale = isStale();
  // What is stale stands still: no row is repeated and no box moves on as if it were known.
  if (view.live && !stale && waterfall.data) waterfall.advance(Math.floor(view.nowNs / waterfall.slotNs));
  if (view.live || state.dirty) draw(stale);
  if (at - lastSecond > 1000) {
    lastSecond = at;
    second(stale);
  }
  state.dirty = false;
}

function draw(stale) {
  waterfall.draw(view.topNs);
  overlay.draw(view, boxes(), state.lanes, state.cursor, state.marker);
  lanes.draw(view, state.lanes, state.cursor);
  spectrum.draw(view, state.live?.status?.channels ?? [], state.cursor, state.marker, stale);
  showCursor();
}

function second(stale) {
  if (stale && state.live) why();
  if (!state.live?.status) return;
  waterfall.follow();
  legend();
  showBoxes();
  showMarket(state.live, utcNs());
  showPlaces(state.live.status);
  drawTrace();
  drawMap(el('map'), state.live.status.places, heardAgo, state.live.status.offers ?? []);
  showLaneTable();
  if (view.live && view.spanNs > LIVE_ROWS_NS && performance.now() - state.loaded > Math.max(5000, view.spanNs / 4e9)) restart();
}

function legend() {
  const text = `${waterfall.low} ${waterfall.high} ${spectrum.unit}`;
  if (el('legend').dataset.said === text) return;
  el('legend').dataset.said = text;
  const ramp = make('canvas', { width: 120, height: 10 }), pen = ramp.getContext('2d');
  for (let x = 0; x < 120; x++) {
    const at = 3 * Math.round(x / 119 * 255);
    pen.fillStyle = `rgb(${CIVIDIS[at]} ${CIVIDIS[at + 1]} ${CIVIDIS[at + 2]})`;
    pen.fillRect(x, 0, 1, 10);
  }
  const key = (kind, words) => make('span', { class: 'key' }, make('i', { class: kind }), words);
  el('legend').replaceChildren(
    make('span', { class: 'key' }, spectrum.db(waterfall.low).toFixed(0), ramp, `${spectrum.db(waterfall.high).toFixed(0)} ${spectrum.unit}`),
    key('void', 'not sensed'), key('', 'settlement'), key('offer', 'offer'), key('radar', 'incumbent'), key('now', 'now; above it: later'),
    make('span', {}, 'gate: L locked, A armed, O open, X latched, ? unknown'),
    make('span', {}, 'spectrum: blue now, thick mean, grey hold, dashes noise floor'),
  );
}

// -- the cursor --------------------------------------------------------------------------------------------------

function place(event, canvas) {
  const box = canvas.getBoundingClientRect();
  const from = canvas.id === 'lanes' ? null : left(), width = canvas.id === 'spectrum' ? box.width - right() : box.width;
  const x = event.clientX - box.left;
  const ns = canvas.id === 'spectrum' ? null : view.topNs - (event.clientY - box.top) / box.height * view.spanNs;
  const hz = from === null || x < from || x > width ? state.cursor?.hz ?? (view.lowHz + view.highHz) / 2
    : view.lowHz + (x - from) / (width - from) * (view.highHz - view.lowHz);
  setCursor({ hz, ns });
}

function setCursor(cursor) {
  state.cursor = cursor;
  if (!cursor) el('cursor').textContent = '';
  state.dirty = true;
  why();
}

// What the last settlement or request had come to by an instant, from the events kept here.
const CAME_TO = { ended: 'ended', refused: 'was refused', aborted: 'was given up by the holder' };
function lastBefore(ns) {
  const mine = new Set(state.events.filter((each) => each.event === 'requested' || each.event === 'accepted').map((each) => each.sid));
  const one = state.events.findLast((each) => mine.has(each.sid) && each.event in CAME_TO && each.atNs <= ns + 5e8);
  return one && ns - one.atNs < 600e9 ? `its last settlement or request, ${String(one.sid).slice(0, 8)}, ${CAME_TO[one.event]} at ${clockText(one.atNs)}Z${one.reason ? `: ${one.reason}` : ''}` : '';
}

// Why it is silent: at the cursor's instant where that is in the past, else now.
function why() {
  const cursor = state.cursor;
  const lane = cursor && cursor.ns !== null && cursor.ns < view.nowNs ? laneAt(state.lanes, cursor.ns) : null;
  if (lane) {
    const [meaning, cure] = state.reasons[lane.r] ?? [lane.g === 'OPEN' ? 'The gate was open: it might transmit' : lane.g === 'UNKNOWN' ? 'Nobody could tell whether it transmitted' : 'The gate was shut', ''];
    showWhy({ state: lane.g, reason: lane.r, clause: lane.c, measured: lane.m, required: lane.q, meaning, mend: cure, before: lane.r && lane.g === 'ARMED' ? lastBefore(cursor.ns) : '' }, cursor.ns);
  } else if (cursor && cursor.ns !== null && cursor.ns < view.nowNs) {
    showWhy({ state: 'UNKNOWN', reason: '', clause: '', measured: '', required: '', meaning: 'Nothing was kept of this instant', mend: '' }, cursor.ns);
  } else if (state.live) showWhy(state.live.silence);
}

function showCursor() {
  const at = state.cursor;
  if (!at) return;
  const level = view.live ? spectrum.level(at.hz, view) : null, parts = [`${mhz(at.hz, 4)} MHz`];
  parts.push(level === null ? (view.live ? 'not sensed' : '') : `${level.toFixed(1)} ${spectrum.unit}`);
  const hold = spectrum.level(at.hz, view, spectrum.hold);
  if (hold !== null && view.live) parts.push(`hold ${hold.toFixed(1)}`);
  if (at.ns !== null) parts.push(`${instant(at.ns)}`);
  if (state.marker) {
    const marked = spectrum.level(state.marker.hz, view);
    parts.push(`Δ ${mhz(at.hz - state.marker.hz, 4)} MHz${level !== null && marked !== null ? ` ${(level - marked).toFixed(1)} dB` : ''}`);
  }
  el('cursor').textContent = parts.filter(Boolean).join('   ');
}

function nudge(hzSteps, nsSteps) {
  const at = state.cursor ?? { hz: (view.lowHz + view.highHz) / 2, ns: null };
  const hz = Math.min(view.highHz, Math.max(view.lowHz, at.hz + hzSteps * (view.highHz - view.lowHz) / 400));
  const top = Math.min(view.nowNs, view.topNs), stepped = (at.ns ?? top) + nsSteps * view.spanNs / 100;
  const ns = nsSteps ? Math.min(view.topNs, Math.max(view.topNs - view.spanNs, stepped)) : at.ns;
  setCursor({ hz, ns });
}

// -- stopping ----------------------------------------------------------------------------------------------------

function tell(text, good = false) {
  const box = el('said');
  box.hidden = false;
  box.dataset.good = String(good);
  const close = make('button', { type: 'button' }, 'Close');
  close.onclick = () => { box.hidden = true; };
  box.replaceChildren(close, text);
}

async function stop() {
  if (!hasToken()) {
    el('token').showModal();
    return;
  }
  el('stop').setAttribute('aria-busy', 'true');
  state.stopping = true;
  tell('Stopping…');
  try {
    const answer = await askStop(state.node);
    const latched = answer.warden.latched ? `its gate latched after ${answer.warden.took_ms} ms` : `its warden did NOT answer: ${answer.warden.why}`;
    const rf = { off: 'RF OFF: muted, and read back as silent on a fresh connection', on: 'RF STILL ON: take its power away', unknown: `RF UNKNOWN: treat as ON, take its power away (${answer.why})` }[answer.rf];
    tell(`${rf}; ${latched}.`, answer.rf === 'off' && answer.warden.latched);
  } catch (error) {
    tell(`NOT STOPPED: ${error.message}. Use \`bandpact stop\` on the node, or take the power away.`);
    if (error.code === 401) el('token').showModal();
  } finally {
    el('stop').removeAttribute('aria-busy');
    state.stopping = false;
  }
}

// -- keys, buttons, themes ---------------------------------------------------------------------------------------

const KEYS = [
  ['K', 'STOP: silence the radio now', stop], ['?', 'these keys', () => el('help').showModal()],
  ['L', 'live: follow now', goLive], ['PageDown', 'earlier by half a window', () => move(-0.5)],
  ['PageUp', 'later by half a window', () => move(0.5)], ['-', 'longer time axis', () => zoom(1)],
  ['+', 'shorter time axis', () => zoom(-1)], ['H', 'hold of the spectrum on or off, begins anew', toggleHold],
  ['M', 'mark here; the difference is shown from then on', mark], ['T', 'theme: as the system, dark, light', () => theme()],
  ['N', 'next node', nextNode], ['Escape', 'let go of cursor and marker', () => { state.marker = null; setCursor(null); }],
];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function zoom(by) {
  const at = SPANS.findIndex(([seconds]) => seconds * 1e9 === view.spanNs);
  setSpan(SPANS[Math.min(SPANS.length - 1, Math.max(0, at + by))][0]);
}

function toggleHold() {
  spectrum.holding = !spectrum.holding;
  if (spectrum.holding) spectrum.forget();
  el('hold').setAttribute('aria-pressed', String(spectrum.holding));
  state.dirty = true;
}

function mark() {
  state.marker = state.cursor ? { ...state.cursor } : { hz: (view.lowHz + view.highHz) / 2, ns: null };
  state.dirty = true;
}

function theme(wanted) {
  const order = ['auto', 'dark', 'light'];
  const next = wanted ?? order[(order.indexOf(localStorage.getItem('bandpact-theme') ?? 'auto') + 1) % 3];
  localStorage.setItem('bandpact-theme', next);
  const light = next === 'light' || (next === 'auto' && matchMedia('(prefers-color-scheme: light)').matches);
  document.documentElement.dataset.theme = light ? 'light' : 'dark';
  el('theme').textContent = { auto: '◐', dark: '☾', light: '☀' }[next];
  el('theme').setAttribute('aria-label', `Theme: ${next}`);
  delete el('legend').dataset.said;
  state.dirty = true;
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input, dialog *')) return;
  const arrow = ARROWS[event.key];
  if (arrow && (document.activeElement === el('pictures') || document.activeElement === document.body)) {
    nudge(...arrow);
    event.preventDefault();
    return;
  }
  const found = KEYS.find(([key]) => key.toLowerCase() === (event.key === '=' ? '+' : event.key).toLowerCase());
  if (!found || event.repeat) return;
  event.preventDefault();
  found[2]();
}

// -- nodes -------------------------------------------------------------------------------------------------------

function nextNode() {
  const buttons = [...el('nodes').children], at = buttons.findIndex((one) => one.value === state.node);
  if (buttons.length) buttons[(at + 1) % buttons.length].click();
}

function open(node) {
  stream?.close();
  rows?.close();
  Object.assign(state, { node, live: null, ageMs: null, offsetMs: null, lanes: [], kept: [], events: [], boxesThen: [], bursts: null });
  spectrum.clear();
  Object.assign(view, { live: true, highHz: 1, lowHz: 0 });
  for (const button of el('nodes').children) button.setAttribute('aria-pressed', String(button.value === node));
  stream = new Stream(node, heard);
  rows = new Rows(node, heardRow);
  read('live', { node }).then((body) => { if (state.node === node) takeEvents(body.events); }).catch(() => {});
}

async function begin() {
  takeToken();
  theme(localStorage.getItem('bandpact-theme') ?? 'auto');
  for (const [seconds, words] of SPANS) {
    const button = make('button', { type: 'button', value: seconds, 'aria-pressed': seconds * 1e9 === view.spanNs }, words);
    button.onclick = () => setSpan(seconds);
    el('spans').append(button);
  }
  fillPairs(el('keys'), [...KEYS.map(([key, what]) => [key, what]), ['arrows', 'move the cursor: what was heard, and why it was silent then']]);
  el('stop').onclick = stop;
  el('help-button').onclick = () => el('help').showModal();
  el('theme').onclick = () => theme();
  el('back').onclick = () => move(-0.5);
  el('forth').onclick = () => move(0.5);
  el('live').onclick = goLive;
  el('hold').onclick = toggleHold;
  el('mark').onclick = mark;
  el('filter').oninput = showEvents;
  el('export').onclick = () => {
    const link = make('a', { href: URL.createObjectURL(new Blob([JSON.stringify(state.events, null, 1)], { type: 'application/json' })), download: `${state.node}-events.json` });
    link.click();
    URL.revokeObjectURL(link.href);
  };
  el('token-form').onsubmit = (event) => {
    if (event.submitter?.value !== 'stop') return;
    keepToken(el('token-text').value.trim());
    el('token-text').value = '';
    stop();
  };
  for (const id of ['overlay', 'lanes', 'spectrum']) {
    el(id).addEventListener('pointermove', (event) => place(event, el(id)));
    el(id).addEventListener('pointerleave', () => setCursor(null));
    el(id).addEventListener('click', (event) => { if (id === 'spectrum') { place(event, el(id)); mark(); } });
  }
  el('overlay').addEventListener('wheel', (event) => { move(-Math.sign(event.deltaY) * 0.12); event.preventDefault(); }, { passive: false });
  document.addEventListener('keydown', pressed);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) restart(); });
  matchMedia('(prefers-color-scheme: light)').addEventListener('change', () => theme(localStorage.getItem('bandpact-theme') ?? 'auto'));
  let resized;
  new ResizeObserver(() => { clearTimeout(resized); resized = setTimeout(restart, 120); }).observe(el('waterfall'));
  state.reasons = await read('reasons');
  const named = await read('nodes');
  el('nodes').hidden = named.length < 2;
  for (const one of named) {
    const button = make('button', { type: 'button', value: one.name, 'aria-pressed': false }, one.name);
    button.onclick = () => open(one.name);
    el('nodes').append(button);
  }
  const asked = new URLSearchParams(location.search).get('node');
  open(named.some((one) => one.name === asked) ? asked : named[0].name);
  requestAnimationFrame(frame);
}

// For the tests, which measure this page with made-up rows.
window.bandpact = { waterfall, view, state, heardRow, ageNow };
begin();
