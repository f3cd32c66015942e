// Neighbours without a map server: this node in the middle, rings of distance, discs of error, areas, links.
import { css, metres, sharp } from './format.js';

const EARTH_M = 6371008.8;

// Metres east and north of a place; flat, which is what a picture of some kilometres can show.
export function offset(from, to) {
  const scale = Math.PI / 180 * EARTH_M;
  return {
    east: (to.lon_deg - from.lon_deg) * scale * Math.cos(from.lat_deg * Math.PI / 180),
    north: (to.lat_deg - from.lat_deg) * scale,
  };
}

export function distance(from, to) {
  const rad = Math.PI / 180, a = from.lat_deg * rad, b = to.lat_deg * rad;
  const h = Math.sin((b - a) / 2) ** 2 + Math.cos(a) * Math.cos(b) * Math.sin((to.lon_deg - from.lon_deg) * rad / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.sqrt(Math.min(1, h)));
}

export function bearing(from, to) {
  const { east, north } = offset(from, to);
  const degrees = (Math.atan2(east, north) * 180 / Math.PI + 360) % 360;
  return ['N', 'NE', 'E', 'SE', 'S', 'SW', 'W', 'NW'][Math.round(degrees / 45) % 8];
}

function nice(m) {
  const size = 10 ** Math.floor(Math.log10(m));
  return [1, 2, 5, 10].map((k) => k * size).find((k) => k >= m) ?? 10 * size;
}

export function drawMap(canvas, places, heardAgo, boxes) {
  const on = sharp(canvas);
  if (!on) return;
  const { pen, width, height } = on;
  const own = places.find((one) => one.own)?.position;
  pen.font = '11px system-ui, "DejaVu Sans", sans-serif';
  if (!own) {
    pen.fillStyle = css('--soft');
    pen.fillText('this node’s own place is not known', 12, 24);
    return;
  }
  const others = places.filter((one) => !one.own && one.position);
  const furthest = Math.max(200, own.radius_m * 2, ...others.map((one) => distance(own, one.position) + one.position.radius_m));
  const reach = furthest * 1.25, scale = Math.min(width, height) / 2 / reach;
  const at = (place) => {
    const { east, north } = offset(own, place);
    return [width / 2 + east * scale, height / 2 - north * scale];
  };
  rings(pen, width, height, furthest, scale);
  areas(pen, [...boxes.filter((one) => one.area).map((one) => one.area)], at, scale);
  for (const one of others) link(pen, own, one, at, heardAgo(one.name));
  for (const one of places.filter((p) => p.position)) node(pen, one, at, scale);
  pen.fillStyle = css('--soft');
  pen.fillText('N ↑', width - 26, 14);
}

function rings(pen, width, height, furthest, scale) {
  const step = nice(furthest / 3);
  pen.strokeStyle = css('--void-line');
  pen.fillStyle = css('--faint');
  for (let r = step; r * scale < Math.hypot(width, height) / 2; r += step) {
    pen.beginPath();
    pen.arc(width / 2, height / 2, r * scale, 0, 2 * Math.PI);
    pen.stroke();
    if (r * scale < width / 2 - 30) pen.fillText(metres(r), width / 2 + r * scale * 0.72 + 3, height / 2 + r * scale * 0.72);
  }
}

function areas(pen, found, at, scale) {
  pen.strokeStyle = css('--offer');
  pen.setLineDash([7, 5]);
  for (const area of found) {
    pen.beginPath();
    if (area.outline) area.outline.forEach(([lat, lon], n) => pen[n ? 'lineTo' : 'moveTo'](...at({ lat_deg: lat, lon_deg: lon })));
    else pen.arc(...at(area), area.radius_m * scale, 0, 2 * Math.PI);
    pen.closePath();
    pen.stroke();
  }
  pen.setLineDash([]);
}

function link(pen, own, one, at, ago) {
  const near = ago !== null && ago < 5e9;
  pen.strokeStyle = css(near ? '--open' : '--unknown');
  pen.setLineDash(near ? [] : [4, 5]);
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(...at(own));
  pen.lineTo(...at(one.position));
  pen.stroke();
  pen.setLineDash([]);
  pen.lineWidth = 1;
}

function node(pen, one, at, scale) {
  const [x, y] = at(one.position);
  pen.fillStyle = css('--link');
  pen.globalAlpha = 0.22;
  pen.beginPath();
  pen.arc(x, y, Math.max(7, one.position.radius_m * scale), 0, 2 * Math.PI);
  pen.fill();
  pen.globalAlpha = 1;
  pen.fillStyle = css(one.own ? '--accent' : '--ink');
  pen.beginPath();
  if (one.own) pen.rect(x - 4, y - 4, 8, 8);
  else pen.arc(x, y, 4, 0, 2 * Math.PI);
  pen.fill();
  pen.fillStyle = css('--ink');
  pen.fillText(one.name, x + 8, y - 6);
}
