// The spectrum: now, mean, hold and each channel's noise floor over the same frequencies as the waterfall.
import { band, css, mhz, sharp } from './format.js';

export const BASE_DB = -200, STEP_DB = 0.5;
const STEPS_HZ = [1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 2e7, 5e7];

export class Spectrum {
  constructor(canvas, left, right) {
    this.canvas = canvas;
    this.left = left;
    this.right = right;
    this.clear();
  }

  clear() {
    this.now = this.mean = this.hold = null;
    this.holding = true;
    this.low = -180;
    this.high = -100;
    this.calibrate(null);
  }

  // Levels are relative to full scale; a calibrated receiver's are shown as what they are at the antenna.
  calibrate(level) {
    this.offset = level?.offset_db ?? 0;
    this.unit = level?.unit ?? 'dBFS/Hz';
  }

  db(code) {
    return BASE_DB + STEP_DB * code + this.offset;
  }

  forget() {
    this.hold = null;
  }

  // One look's levels; the mean follows with about a second's memory.
  take(codes) {
    if (!this.now || this.now.length !== codes.length) {
      this.mean = Float32Array.from(codes);
      this.hold = null;
    }
    this.now = codes;
    if (!this.hold) this.hold = Uint8Array.from(codes);
    for (let n = 0; n < codes.length; n++) {
      if (!codes[n]) continue;
      this.mean[n] += 0.04 * (codes[n] - this.mean[n]);
      if (codes[n] > this.hold[n]) this.hold[n] = codes[n];
    }
  }

  level(hz, view, of = this.now) {
    if (!of) return null;
    const bin = Math.min(of.length - 1, Math.max(0, Math.floor((hz - view.lowHz) / (view.highHz - view.lowHz) * of.length)));
    return of[bin] ? this.db(of[bin]) : null;
  }

  strongest(low, high, view, of) {
    if (!of) return null;
    const at = (hz) => Math.round((hz - view.lowHz) / (view.highHz - view.lowHz) * of.length);
    let most = 0;
    for (let n = Math.max(0, at(low)); n < Math.min(of.length, at(high)); n++) if (of[n] > most) most = of[n];
    return most ? this.db(most) : null;
  }

  draw(view, channels, cursor, marker, stale) {
    const on = sharp(this.canvas);
    if (!on) return;
    const { pen, width, height } = on, left = this.left(), right = width - this.right(), foot = height - 18;
    const x = (hz) => left + (hz - view.lowHz) / (view.highHz - view.lowHz) * (right - left);
    const y = (db) => 4 + (this.high - db) / (this.high - this.low) * (foot - 8);
    this.range();
    pen.font = '11px system-ui, "DejaVu Sans", sans-serif';
    this.grid(pen, view, x, y, left, right, foot);
    for (const one of channels) {
      pen.strokeStyle = css('--edge');
      pen.setLineDash([2, 3]);
      pen.beginPath();
      for (const edge of [one.low_hz, one.high_hz]) { pen.moveTo(x(edge), 2); pen.lineTo(x(edge), foot); }
      pen.stroke();
      pen.setLineDash([]);
      const floor = one.floor_db;
      if (floor === null || floor === undefined) continue;
      pen.strokeStyle = css('--accent');
      pen.setLineDash([5, 3]);
      pen.beginPath();
      pen.moveTo(x(one.low_hz), y(floor));
      pen.lineTo(x(one.high_hz), y(floor));
      pen.stroke();
      pen.setLineDash([]);
    }
    if (!this.now) {
      pen.fillStyle = css('--soft');
      pen.fillText(
        view.live ? (stale ? 'nothing is being sensed' : 'waiting for the first look') : 'of now only: press ● live, or L', left + 12, 24);
      return;
    }
    if (this.holding) this.trace(pen, this.hold, css('--soft'), 1, left, right, y);
    this.trace(pen, this.now, css('--link'), 1, left, right, y);
    this.trace(pen, this.mean, css('--ink'), 1.6, left, right, y);
    for (const [at, dash] of [[cursor, [3, 3]], [marker, [8, 3]]]) {
      if (!at) continue;
      pen.strokeStyle = css('--ink');
      pen.setLineDash(dash);
      pen.beginPath();
      pen.moveTo(x(at.hz), 0);
      pen.lineTo(x(at.hz), foot);
      pen.stroke();
      pen.setLineDash([]);
    }
  }

  range() {
    if (!this.hold) return;
    let low = 255, high = 0;
    for (const code of this.mean) if (code) { if (code < low) low = code; }
    for (const code of this.hold) if (code > high) high = code;
    const bottom = Math.floor((this.db(low) - 8) / 10) * 10, top = Math.ceil((this.db(high) + 4) / 10) * 10;
    if (Number.isFinite(bottom) && top > bottom) { this.low = bottom; this.high = Math.max(top, bottom + 30); }
  }

  grid(pen, view, x, y, left, right, foot) {
    pen.strokeStyle = css('--void-line');
    pen.fillStyle = css('--soft');
    pen.lineWidth = 1;
    pen.textAlign = 'right';
    const step = this.high - this.low > 60 ? 20 : 10;
    for (let db = Math.ceil(this.low / step) * step; db <= this.high; db += step) {
      pen.beginPath();
      pen.moveTo(left, y(db));
      pen.lineTo(right, y(db));
      pen.stroke();
      pen.fillText(String(db), left - 7, y(db) + 4);
    }
    pen.textAlign = 'center';
    const step_hz = STEPS_HZ.find((s) => s / (view.highHz - view.lowHz) * (right - left) >= 70) ?? STEPS_HZ.at(-1);
    for (let hz = Math.ceil(view.lowHz / step_hz) * step_hz; hz <= view.highHz; hz += step_hz) {
      pen.beginPath();
      pen.moveTo(x(hz), 2);
      pen.lineTo(x(hz), foot + 3);
      pen.stroke();
      if (x(hz) > left + 18 && x(hz) < right - 22) pen.fillText(mhz(hz, 3), x(hz), foot + 14);
    }
    pen.textAlign = 'left';
    pen.fillText('MHz', right + 6, foot + 14);
    pen.fillText(this.unit, right + 6, 14);
  }

  trace(pen, codes, colour, thick, left, right, y) {
    const width = Math.max(1, Math.round(right - left));
    pen.strokeStyle = colour;
    pen.lineWidth = thick;
    pen.beginPath();
    let drawn = false;
    for (let px = 0; px < width; px++) {
      const first = Math.floor(px * codes.length / width), stop = Math.max(first + 1, Math.floor((px + 1) * codes.length / width));
      let most = 0;
      for (let n = first; n < stop; n++) if (codes[n] > most) most = codes[n];
      if (!most) { drawn = false; continue; }
      const at = y(this.db(most));
      if (drawn) pen.lineTo(left + px, at);
      else pen.moveTo(left + px, at);
      drawn = true;
    }
    pen.stroke();
  }

  rows(channels, view) {
    const said = (db) => (db === null ? 'not sensed' : `${db.toFixed(1)} ${this.unit}`);
    return channels.map((one) => [
      band(one.low_hz, one.high_hz), said(this.strongest(one.low_hz, one.high_hz, view, this.now)),
      said(this.strongest(one.low_hz, one.high_hz, view, this.hold)),
      one.floor_db === null || one.floor_db === undefined ? 'unknown'
        : `${one.floor_db.toFixed(1)} ± ${(2 * one.floor_sd_db).toFixed(1)} ${one.floor_unit}`,
    ]);
  }
}
