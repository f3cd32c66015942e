// What lies over the waterfall: time and frequency, boxes of offers and settlements, incumbents, now, the cursor; and
// beside it the lanes of the same time: gate, own transmissions, incumbents, clock.
import { amount, clockText, css, dayText, dbm, mhz, sharp, span } from './format.js';

export const LETTER = { LOCKED: 'L', ARMED: 'A', OPEN: 'O', LATCHED: 'X', UNKNOWN: '?' };
const TONE = { LOCKED: '--locked', ARMED: '--armed', OPEN: '--open', LATCHED: '--latched', UNKNOWN: '--unknown' };
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600].map((s) => s * 1e9);

export function hatch(pen, colour, slant = 1, gap = 6) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = gap;
  const inner = tile.getContext('2d');
  inner.strokeStyle = colour;
  inner.lineWidth = 1.5;
  inner.beginPath();
  for (const shift of [-gap, 0, gap]) {
    inner.moveTo(slant > 0 ? shift : shift + gap, gap);
    inner.lineTo(slant > 0 ? shift + gap : shift, 0);
  }
  inner.stroke();
  return pen.createPattern(tile, 'repeat');
}

function label(pen, text, x, y, colour) {
  const width = pen.measureText(text).width;
  pen.fillStyle = 'rgb(8 12 24 / 82%)';
  pen.fillRect(x - 3, y - 11, width + 6, 15);
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}

export class Overlay {
  constructor(canvas, left) {
    this.canvas = canvas;
    this.left = left;
  }

  draw(view, boxes, lanes, cursor, marker) {
    const on = sharp(this.canvas);
    if (!on) return;
    const { pen, width, height } = on, left = this.left();
    const x = (hz) => left + (hz - view.lowHz) / (view.highHz - view.lowHz) * (width - left);
    const y = (ns) => (view.topNs - ns) / view.spanNs * height;
    pen.font = '11px system-ui, "DejaVu Sans", sans-serif';
    pen.lineWidth = 1;
    this.times(pen, view, y, left, width, height);
    this.incumbents(pen, lanes, view, x, y);
    const inBand = boxes.filter((b) => !b.unit);
    for (const one of inBand.filter((b) => b.kind === 'offer')) this.box(pen, one, view, x, y, width, height);
    for (const one of inBand.filter((b) => b.kind !== 'offer')) this.box(pen, one, view, x, y, width, height);
    const now = y(view.nowNs);
    if (now >= 0 && now <= height) {
      pen.strokeStyle = css('--accent');
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(left - 6, now);
      pen.lineTo(width, now);
      pen.stroke();
      label(pen, 'now', width - 26, now - 4, '#ffd24a');
    }
    for (const [at, dash] of [[cursor, [3, 3]], [marker, [8, 3]]]) {
      if (!at) continue;
      pen.strokeStyle = '#ffffff';
      pen.setLineDash(dash);
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(x(at.hz), 0);
      pen.lineTo(x(at.hz), height);
      if (at === cursor && at.ns !== null) { pen.moveTo(left, y(at.ns)); pen.lineTo(width, y(at.ns)); }
      pen.stroke();
      pen.setLineDash([]);
    }
  }

  times(pen, view, y, left, width, height) {
    const step = STEPS.find((s) => s / view.spanNs * height >= 34) ?? STEPS.at(-1);
    pen.textAlign = 'right';
    // The day stands where another one begins, and on top where that is not today.
    let day = dayText(view.nowNs);
    for (let at = Math.floor(view.topNs / step) * step; at > view.topNs - view.spanNs; at -= step) {
      const line = y(at);
      if (line < 6) continue;
      pen.fillStyle = css('--soft');
      const narrow = left < 60;
      const time = narrow ? clockText(at).slice(step < 60e9 ? 3 : 0, step < 60e9 ? 8 : 5) : clockText(at);
      pen.fillText(time, left - 7, line + 4);
      if (at <= view.nowNs && dayText(at) !== day) {
        day = dayText(at);
        pen.fillStyle = css('--accent');
        pen.fillText(new Date(at / 1e6).toUTCString().slice(5, 11), left - 7, line + 16);
      }
      pen.strokeStyle = 'rgb(255 255 255 / 16%)';
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(left - 4, line);
      pen.lineTo(width, line);
      pen.stroke();
    }
    pen.textAlign = 'left';
  }

  incumbents(pen, lanes, view, x, y) {
    const lines = hatch(pen, '#ff8a80', 1, 7);
    const drawn = new Map();  // what was heard in several stretches of the same time is hatched once
    for (const one of lanes) {
      for (const [low, high, kind] of one.i) {
        const a = y(one.t + one.n), b = Math.min(Math.max(y(one.t), a + 3), drawn.get(low + kind) ?? Infinity);
        if (b - a < 0.5) continue;
        drawn.set(low + kind, a);
        pen.fillStyle = lines;  // a label leaves its own colour
        pen.fillRect(x(low), a, Math.max(3, x(high) - x(low)), b - a);
        if (!this.told || Math.abs(this.told - b) > 30) { label(pen, `incumbent ${kind}`, x(low) + 4, b + 12, '#ffb3ab'); this.told = b; }
      }
    }
    this.told = null;
  }

  box(pen, one, view, x, y, width, height) {
    const top = Math.max(-4, one.end_ns === null ? 0 : y(one.end_ns));
    const bottom = Math.min(height + 4, one.start_ns === null ? height : y(one.start_ns));
    const from = x(one.low_hz), to = x(one.high_hz);
    if (bottom < 0 || top > height || bottom - top < 1) return;
    const offer = one.kind === 'offer';
    const inset = offer ? 1 : 5;
    pen.strokeStyle = offer ? '#8fb7ff' : one.state === 'SUSPENDED' ? '#ff8a80' : '#ffffff';
    if (one.state === 'ENDED') pen.globalAlpha = 0.6;
    pen.lineWidth = offer ? 1.5 : 2;
    pen.setLineDash(offer ? [6, 4] : one.state === 'GRANTED' ? [10, 3] : []);
    pen.strokeRect(from + inset, top + (offer ? 0 : 1), to - from - 2 * inset, bottom - top - (offer ? 0 : 2));
    pen.setLineDash([]);
    pen.globalAlpha = 1;
    if (bottom - top < 14 || to - from < 60) return;
    const left = one.end_ns === null ? null : one.end_ns - view.nowNs;
    const ends = left === null || one.state === 'ENDED' ? '' : left > 0 ? `, ${span(left)} left` : ', over';
    const power = one.eirp_mdbm === null ? '' : ` ${dbm(one.eirp_mdbm)}`;
    // The most that fits between the edges, whole words; the rest is in the table of settlements and offers.
    const whose = offer ? `offer${one.role === 'made' ? '' : ` of ${one.by}`}` : `${one.state} as ${one.role}`;
    const short = offer ? 'offer' : one.state;
    const room = to - from - 2 * inset - 10;
    const words = [`${whose}${power}${ends}`, `${whose}${power}`, whose, `${short}${power}`, short]
      .find((one) => pen.measureText(one).width <= room);
    if (!words) return;
    const at = Math.max(top, 0);
    label(pen, words, from + inset + 5, offer ? Math.min(at + 14, bottom - 4) : Math.min(at + 31, bottom - 4),
      offer ? '#b9d2ff' : one.state === 'SUSPENDED' ? '#ffb3ab' : '#ffffff');
  }
}

export class Lanes {
  constructor(canvas) {
    this.canvas = canvas;
  }

  draw(view, lanes, cursor) {
    const on = sharp(this.canvas);
    if (!on) return;
    const { pen, width, height } = on;
    const y = (ns) => (view.topNs - ns) / view.spanNs * height;
    const names = width < 100 ? ['gate', 'TX', 'rdr', 'clk'] : ['gate', 'TX', 'radar', 'clock'];
    const gap = 4, each = (width - gap * names.length) / names.length;
    const left = (n) => gap + n * (each + gap);
    pen.font = '10px system-ui, "DejaVu Sans", sans-serif';
    const none = hatch(pen, css('--void-line'), -1, 6);
    const past = Math.max(0, y(view.nowNs));
    for (let n = 0; n < names.length; n++) {
      pen.fillStyle = css('--void');
      pen.fillRect(left(n), past, each, height - past);
      pen.fillStyle = none;
      pen.fillRect(left(n), past, each, height - past);
    }
    for (const one of lanes) {  // known times first, so that no piece is cut by the ground of the next
      const top = Math.max(0, y(one.t + one.n) - 0.5), bottom = y(one.t) + 0.5;
      if (bottom < 0 || top > height) continue;
      pen.fillStyle = css('--ground');
      for (const n of [1, 2, 3]) pen.fillRect(left(n), top, each, bottom - top);
    }
    let before = null, lettered = -99;
    for (const one of lanes) {
      const top = Math.max(0, y(one.t + one.n) - 0.4), bottom = y(one.t) + 0.4;
      if (bottom < 0 || top > height) continue;
      const tall = Math.max(1, bottom - top);
      this.gate(pen, one, left(0), top, each, tall);
      if (one.o > 0) {
        pen.fillStyle = css('--open');
        const share = Math.min(1, one.o * 1e6 / one.n);
        pen.fillRect(left(1), top, Math.max(2, each * share * (one.b ? 1 : 0.35)), tall);
      }
      if (one.i.length) {
        pen.fillStyle = css('--radar');
        pen.fillRect(left(2), top, each, Math.max(3, tall));
      }
      this.clock(pen, one, left(3), top, each, tall);
      const key = `${one.g} ${one.r}`;
      if (key !== before && before !== null) {
        pen.fillStyle = css('--ink');
        pen.fillRect(left(0) - 2, bottom - 0.5, each + 4, 1);
      }
      if (key !== before && Math.abs(bottom - lettered) > 13) {
        this.letters ??= [];
        this.letters.push([one.g, bottom - 4]);
        lettered = bottom;
      }
      before = key;
    }
    pen.font = 'bold 11px system-ui, "DejaVu Sans", sans-serif';
    pen.textAlign = 'center';
    for (const [state, at] of this.letters ?? []) {
      pen.fillStyle = css('--panel');  // dark on the bright tones of the night, white on the dark ones of the sun
      pen.fillText(LETTER[state] ?? '?', left(0) + each / 2, Math.min(height - 3, at));
    }
    this.letters = null;
    pen.font = '10px system-ui, "DejaVu Sans", sans-serif';
    for (let n = 0; n < names.length; n++) {
      pen.fillStyle = css('--soft');
      pen.fillText(names[n], left(n) + each / 2, width < 100 && n % 2 ? 21 : 10);  // narrow: in two rows, side by side they run together
    }
    pen.textAlign = 'left';
    for (const [at, colour] of [[cursor?.ns, css('--ink')], [view.nowNs, css('--accent')]]) {
      if (at === null || at === undefined) continue;
      pen.fillStyle = colour;
      pen.fillRect(0, y(at) - 0.75, width, 1.5);
    }
  }

  gate(pen, one, left, top, each, tall) {
    pen.fillStyle = css(TONE[one.g] ?? '--unknown');
    pen.fillRect(left, top, each, tall);
    if (one.g === 'UNKNOWN') {
      pen.fillStyle = hatch(pen, css('--ground'), 1, 5);
      pen.fillRect(left, top, each, tall);
    }
  }

  clock(pen, one, left, top, each, tall) {
    const [trusted, bound, budget] = one.k;
    if (bound === null || !budget) {
      pen.fillStyle = hatch(pen, css('--unknown'), 1, 5);
      pen.fillRect(left, top, each, tall);
      return;
    }
    pen.fillStyle = css(trusted ? '--link' : '--unknown');
    pen.fillRect(left, top, Math.max(1.5, each * Math.min(1, bound / budget)), tall);
  }
}

export function laneAt(lanes, ns) {
  return lanes.find((one) => one.t <= ns && ns < one.t + one.n) ?? null;
}

// Stretches in which the gate and its reason stayed as they were, newest first.
export function stretches(lanes) {
  const found = [];
  for (const one of lanes) {
    const last = found.at(-1);
    if (last && last.g === one.g && last.r === one.r && last.c === one.c && one.t - last.to < 2 * one.n) {
      last.to = one.t + one.n;
      last.m = one.m;
      last.q = one.q;
    } else found.push({ ...one, from: one.t, to: one.t + one.n });
  }
  return found.reverse();
}

export function stretchRow(one) {
  return [clockText(one.from), clockText(one.to), `${one.g}${one.r ? ` ${one.r}` : ''}`, one.c || '–', one.m || '–', one.q || '–'];
}

export function boxRow(make, one, nowNs) {
  const state = make('span', { class: 'tag', 'data-is': one.state }, one.state);
  const begins = one.start_ns !== null && one.start_ns > nowNs;
  const left = begins ? `begins in ${span(one.start_ns - nowNs)}` : one.end_ns > nowNs ? span(one.end_ns - nowNs) : 'over';
  const lease = one.lease_until_ns && one.lease_until_ns > nowNs ? ` (lease ${span(one.lease_until_ns - nowNs)})` : '';
  const who = one.kind === 'offer' ? (one.role === 'made' ? 'made here' : `by ${one.by}`) : `as ${one.role}`;
  return [
    make('span', {}, state, make('br'), make('span', { class: 'small' }, `${who} · ${one.id.slice(0, 8)}`)),
    amount(one), one.unit ? '–' : dbm(one.eirp_mdbm),
    make('span', {}, left, make('br'), make('span', { class: 'small' }, lease)),
  ];
}

export { mhz };
