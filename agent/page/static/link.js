// The way to the node: reads, the stream of state, rows of the waterfall, the stop. Reconnects by itself.
const TOKEN = 'bandpact-token';
const SPECTRA_HEAD = 32, ROW_HEAD = 40;

export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given) {
    keepToken(given);
    history.replaceState(null, '', location.pathname + location.search);  // not left in the address
  }
}

export function keepToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

export function hasToken() {
  return Boolean(sessionStorage.getItem(TOKEN));
}

function address(path, parameters) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value !== undefined && value !== ''));
  return `/api/v1/${path}?${query}`;
}

export async function read(path, parameters = {}, signal) {
  const answer = await fetch(address(path, parameters), { signal });
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer.json();
}

// Max holds of a stretch of time: {lowHz, highHz, lengthNs, rows: [{atNs, codes}]}.
export async function readSpectra(parameters, signal) {
  const answer = await fetch(address('spectra', parameters), { signal });
  if (!answer.ok) throw new Error((await answer.json()).error);
  const data = await answer.arrayBuffer();
  const view = new DataView(data);
  const bins = view.getUint32(0, true), count = view.getUint32(4, true);
  const rows = [];
  for (let n = 0, at = SPECTRA_HEAD; n < count; n++, at += 8 + bins) {
    rows.push({ atNs: Number(view.getBigInt64(at, true)), codes: new Uint8Array(data, at + 8, bins) });
  }
  return {
    lowHz: view.getFloat64(8, true), highHz: view.getFloat64(16, true),
    lengthNs: Number(view.getBigInt64(24, true)), rows,
  };
}

export async function askStop(node) {
  const answer = await fetch('/api/v1/stop', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: `Bearer ${sessionStorage.getItem(TOKEN) ?? ''}`,
    },
    body: JSON.stringify({ node }),
  });
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.error), { code: answer.status });
  return said;
}

export class Stream {
  constructor(node, heard) {
    this.source = new EventSource(address('stream', { node }));
    for (const kind of ['state', 'gate', 'event', 'beat']) {
      this.source.addEventListener(kind, (message) => heard(kind, JSON.parse(message.data)));
    }
  }

  close() {
    this.source.close();
  }
}

export class Rows {
  constructor(node, heard) {
    this.node = node;
    this.heard = heard;
    this.pause = 250;
    this.open();
  }

  open() {
    this.socket = new WebSocket(`ws://${location.host}${address('waterfall', { node: this.node })}`);
    this.socket.binaryType = 'arraybuffer';
    this.socket.onopen = () => { this.pause = 250; };
    this.socket.onmessage = (message) => {
      const view = new DataView(message.data);
      const bins = view.getUint32(36, true);
      this.heard({
        atNs: Number(view.getBigInt64(8, true)), lowHz: view.getFloat64(16, true), highHz: view.getFloat64(24, true),
        flags: view.getUint32(32, true), codes: new Uint8Array(message.data, ROW_HEAD, bins),
      });
    };
    this.socket.onclose = () => {
      if (this.closed) return;
      this.timer = setTimeout(() => this.open(), this.pause);
      this.pause = Math.min(4000, this.pause * 2);
    };
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket.close();
  }
}
