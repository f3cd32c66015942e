// The waterfall: rows of levels on an even grid of time, newest on top, drawn by WebGL2 or, without a GPU, by 2D.
//
// The grid is a ring of slots: slot = floor(time / slotNs). A slot nothing was sensed in stays 0 and is drawn hatched;
// a row stands for its own length and, between looks, up to 2.5 usual steps, as in the report's picture.
import { CIVIDIS } from './palette.js';
import { css } from './format.js';

const GAP_STEPS = 2.5;
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

// What draws for WebGL here: on a processor that only plays a graphics card, 2D is quicker.
function rendererOf(gl) {
  const told = gl.getExtension('WEBGL_debug_renderer_info');
  return String(gl.getParameter(told ? told.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
}

function rgb(text) {
  const pen = rgb.pen ??= document.createElement('canvas').getContext('2d');
  pen.fillStyle = text;
  return [1, 3, 5].map((at) => parseInt(pen.fillStyle.slice(at, at + 2), 16));
}

// Levels of many bins as one a column, the strongest of each.
export function decimated(codes, width, into) {
  const bins = codes.length;
  if (bins >= width) {
    for (let x = 0; x < width; x++) {
      const stop = Math.max(Math.floor((x + 1) * bins / width), Math.floor(x * bins / width) + 1);
      let most = 0;
      for (let n = Math.floor(x * bins / width); n < stop; n++) if (codes[n] > most) most = codes[n];
      into[x] = most;
    }
  } else {
    for (let x = 0; x < width; x++) into[x] = codes[Math.floor(x * bins / width)];
  }
  return into;
}

class Gl {
  static forced = new URLSearchParams(location.search).get('draw') === 'webgl2';

  constructor(canvas) {
    const wanted = { failIfMajorPerformanceCaveat: true, antialias: false, alpha: false };
    const probe = document.createElement('canvas').getContext('webgl2', wanted);  // a canvas gives one kind of pen only
    if (!probe || (SOFTWARE.test(rendererOf(probe)) && !Gl.forced)) throw new Error('no WebGL2 on a GPU');
    const gl = canvas.getContext('webgl2', wanted);
    this.gl = gl;
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    gl.useProgram(program);
    this.at = (name) => gl.getUniformLocation(program, name);
    this.names = Object.fromEntries(['rows', 'top', 'size', 'range', 'newest', 'blank', 'line'].map((n) => [n, this.at(n)]));
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.texture = gl.createTexture();
    const palette = gl.createTexture();
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, palette);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, 256, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, CIVIDIS);
    this.near();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    this.near();
    gl.uniform1i(this.at('palette'), 1);
  }

  near() {
    for (const name of [this.gl.TEXTURE_MIN_FILTER, this.gl.TEXTURE_MAG_FILTER]) {
      this.gl.texParameteri(this.gl.TEXTURE_2D, name, this.gl.NEAREST);
    }
  }

  size(width, height, data) {
    this.width = width;
    this.height = height;
    this.gl.texImage2D(this.gl.TEXTURE_2D, 0, this.gl.R8, width, height, 0, this.gl.RED, this.gl.UNSIGNED_BYTE, data);
    this.gl.viewport(0, 0, width, height);
  }

  row(number, codes) {
    this.gl.texSubImage2D(this.gl.TEXTURE_2D, 0, 0, number, this.width, 1, this.gl.RED, this.gl.UNSIGNED_BYTE, codes);
  }

  all(data) {
    this.size(this.width, this.height, data);
  }

  draw(topSlot, newestSlot, low, high) {
    const gl = this.gl, height = this.height;
    gl.uniform1f(this.names.rows, height);
    gl.uniform1f(this.names.top, ((topSlot % height) + height) % height);
    gl.uniform2f(this.names.size, this.width, height);
    gl.uniform2f(this.names.range, low / 255, high / 255);
    gl.uniform1f(this.names.newest, topSlot - newestSlot - 1);
    gl.uniform3f(this.names.blank, ...rgb(css('--pit')).map((v) => v / 255));
    gl.uniform3f(this.names.line, ...rgb(css('--pit-line')).map((v) => v / 255));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}

const VERTEX = `#version 300 es
void main() { vec2 at = vec2(float(gl_VertexID & 1) * 4.0 - 1.0, float(gl_VertexID >> 1) * 4.0 - 1.0);
  gl_Position = vec4(at, 0.0, 1.0); }`;
const FRAGMENT = `#version 300 es
precision highp float;
uniform sampler2D levels, palette;
uniform vec2 size, range; uniform float rows, top, newest; uniform vec3 blank, line;
out vec4 colour;
void main() {
  float down = size.y - gl_FragCoord.y;
  float slot = mod(floor(top - down), rows);
  float level = texture(levels, vec2(gl_FragCoord.x / size.x, (slot + 0.5) / rows)).r;
  bool none = level < 0.5 / 255.0 || down < newest;
  float stripe = step(mod(gl_FragCoord.x - gl_FragCoord.y, 9.0), 2.0);
  vec3 shade = texture(palette, vec2(clamp((level - range.x) / max(range.y - range.x, 0.004), 0.002, 0.998), 0.5)).rgb;
  vec3 gap = down < newest ? blank : mix(blank, line, stripe);
  colour = vec4(none ? gap : shade, 1.0);
}`;

class Flat {
  constructor(canvas) {
    this.pen = canvas.getContext('2d', { alpha: false });
  }

  size(width, height, data) {
    this.width = width;
    this.height = height;
    this.ring = document.createElement('canvas');
    this.ring.width = width;
    this.ring.height = height;
    this.ringPen = this.ring.getContext('2d', { alpha: false });
    this.line = this.ringPen.createImageData(width, 1);
    this.words = new Uint32Array(this.line.data.buffer);
    this.data = data;
    this.shades = null;
    this.stale = new Set();
    this.whole = true;
  }

  row(number) {
    this.stale.add(number);
  }

  all() {
    this.whole = true;
  }

  shade(low, high) {
    const key = `${low} ${high} ${css('--pit')}`;
    if (this.key === key && this.shades) return;
    this.key = key;
    this.whole = true;
    const pack = (r, g, b) => (255 << 24 | b << 16 | g << 8 | r) >>> 0;
    this.blank = pack(...rgb(css('--pit')));
    this.stripe = pack(...rgb(css('--pit-line')));
    this.shades = new Uint32Array(256);
    for (let n = 1; n < 256; n++) {
      const at = 3 * Math.round(255 * Math.min(1, Math.max(0, (n - low) / Math.max(1, high - low))));
      this.shades[n] = pack(CIVIDIS[at], CIVIDIS[at + 1], CIVIDIS[at + 2]);
    }
  }

  paint(number) {
    const { width, words, shades, data } = this;
    for (let x = 0, at = number * width; x < width; x++, at++) {
      const code = data[at];
      words[x] = code ? shades[code] : (x + number) % 9 < 2 ? this.stripe : this.blank;
    }
    this.ringPen.putImageData(this.line, 0, number);
  }

  draw(topSlot, newestSlot, low, high) {
    this.shade(low, high);
    if (this.whole) for (let n = 0; n < this.height; n++) this.paint(n);
    else for (const n of this.stale) this.paint(n);
    this.whole = false;
    this.stale.clear();
    // Slots go up as rows of the ring go down, so the ring is drawn upside down in its two pieces.
    const { width, height, pen } = this;
    const top = ((Math.floor(topSlot) % height) + height) % height;
    pen.save();
    pen.setTransform(1, 0, 0, -1, 0, height);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.ring, 0, 0, width, top, 0, height - top, width, top);
    pen.drawImage(this.ring, 0, top, width, height - top, 0, 0, width, height - top);
    pen.restore();
    const ahead = Math.max(0, Math.round(topSlot - newestSlot - 1));
    pen.fillStyle = css('--pit');
    pen.fillRect(0, 0, width, ahead);
  }
}

export class Waterfall {
  constructor(canvas) {
    this.canvas = canvas;
    try {
      this.backend = new Gl(canvas);
      this.kind = 'webgl2';
    } catch {
      this.backend = new Flat(canvas);
      this.kind = '2d';
    }
    canvas.dataset.backend = this.kind;
    this.low = 60;
    this.high = 160;
    this.shown = 0;
  }

  // Begin anew: so many nanoseconds over the height of the canvas; false while there is no size.
  begin(spanNs) {
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const width = Math.round(this.canvas.clientWidth * ratio), height = Math.round(this.canvas.clientHeight * ratio);
    if (!width || !height) return false;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.width = width;
    this.height = height;
    this.slotNs = spanNs / height;
    this.data = new Uint8Array(width * height);
    this.columns = new Uint8Array(width);
    this.newest = null;
    this.before = null;
    this.step = 0;
    this.backend.size(width, height, this.data);
    return true;
  }

  // Where the ring may write: the newest slot it holds is at most `topSlot`.
  advance(topSlot) {
    if (this.newest === null) this.newest = topSlot;
    while (this.newest < topSlot) {
      this.newest++;
      const number = this.ringRow(this.newest);
      this.data.fill(0, number * this.width, (number + 1) * this.width);
      this.backend.row(number, this.data.subarray(number * this.width, (number + 1) * this.width));
    }
  }

  ringRow(slot) {
    return ((slot % this.height) + this.height) % this.height;
  }

  // A row of levels that stands for [atNs, atNs + lengthNs); 0 length: up to the next look.
  put(atNs, lengthNs, codes, lowHz, highHz) {
    if (!this.data) return;
    const usual = this.step || 1;
    if (!lengthNs && this.before !== null && atNs > this.before) {
      const step = atNs - this.before;
      if (step < GAP_STEPS * usual || !this.step) this.spread(this.lastCodes, this.before, step);
      this.step = this.step ? this.step + 0.1 * (Math.min(step, 4 * this.step) - this.step) : Math.min(step, 2e8);
    }
    this.spread(codes, atNs, lengthNs || 1);
    if (!lengthNs) {
      this.before = atNs;
      this.lastCodes = codes;
    }
    this.edges = [lowHz, highHz];
  }

  spread(codes, atNs, lengthNs) {
    decimated(codes, this.width, this.columns);
    const first = Math.floor(atNs / this.slotNs), last = Math.max(first, Math.ceil((atNs + lengthNs) / this.slotNs) - 1);
    if (this.newest === null || last > this.newest) this.advance(last);
    for (let slot = Math.max(first, this.newest - this.height + 1); slot <= last; slot++) {
      const number = this.ringRow(slot);
      const row = this.data.subarray(number * this.width, (number + 1) * this.width);
      for (let x = 0; x < this.width; x++) if (this.columns[x] > row[x]) row[x] = this.columns[x];
      this.backend.row(number, row);
    }
    this.shown++;
  }

  // The range of colours follows what is there, slowly; returns whether it moved.
  follow() {
    if (!this.data) return false;
    const counts = new Uint32Array(256);
    const stride = Math.max(1, Math.floor(this.data.length / 40000)) | 1;
    let total = 0;
    for (let n = 0; n < this.data.length; n += stride) if (this.data[n]) { counts[this.data[n]]++; total++; }
    if (!total) return false;
    const at = (share) => { let sum = 0; for (let n = 0; n < 256; n++) if ((sum += counts[n]) >= share * total) return n; return 255; };
    const low = at(0.03) - 4, high = Math.max(low + 30, at(0.997) + 2);
    if (Math.abs(low - this.low) < 4 && Math.abs(high - this.high) < 6) return false;
    this.low = low;
    this.high = high;
    return true;
  }

  draw(topNs) {
    if (!this.data) return;
    const topSlot = topNs / this.slotNs;
    this.backend.draw(topSlot, this.newest ?? Math.floor(topSlot), this.low, this.high);
  }
}
