// Auctions, approvals by a group, leases that change hands, disputes, base stations below and jurisdictions, each a table that is there only
// where the node has any.
import { amount, band, clockText, dbm, fill, make, metres, span } from './format.js';

const el = (id) => document.getElementById(id);
const short = (hex) => make('code', {}, (hex ?? '').slice(0, 8));
const tag = (word) => make('span', { class: 'tag', 'data-is': word }, word);

function auction(one, now) {
  if (one.low_hz === undefined) return [tag(one.state), 'not known here', '–', '–', '–'];
  const due = { bidding: one.bids_by_ns, revealing: one.reveals_by_ns }[one.state] ?? one.vote_by_ns;
  const over = ['decided', 'void'].includes(one.state);
  const bids = one.bids.map((bid) => `${bid.bidder} ${bid.price ?? 'sealed'}${bid.deposit_lost ? `, loses ${bid.deposit_lost}` : ''}`);
  const forfeit = one.forfeit ? `, owes ${one.forfeit} if it never asks` : '';
  const sold = one.winner ? `${one.winner} at ${one.price}${forfeit}` : one.state === 'decided' ? 'nobody: no bid reached the reserve' : 'not yet';
  return [
    make('div', {}, tag(one.state), make('div', { class: 'small' }, over ? '' : due > now ? `${span(due - now)} left` : 'due')),
    make('div', {}, amount(one), make('div', { class: 'small' }, `by ${one.by}, ${one.function}, reserve ${one.reserve}`)),
    bids.join('; ') || 'none yet', `${one.votes} of ${one.required ?? 'unknown'}`, sold,
  ];
}

// A REQUEST that a group has to approve before its GRANT: the votes so far, and what came of it.
function approval(one, now) {
  if (one.low_hz === undefined) return [tag(one.state), 'not known here', '–', '–', '–'];
  const left = one.vote_by_ns > now ? `${span(one.vote_by_ns - now)} left` : 'due';
  const came = { decided: one.granted ? 'approved, GRANT given' : 'approved', void: 'not approved in time' }[one.state] ?? 'not yet';
  return [
    make('div', {}, tag(one.state), make('div', { class: 'small' }, one.state === 'voting' ? left : '')),
    make('div', {}, `${one.user} asks ${one.holder}`, make('div', { class: 'small' }, 'REQUEST ', short(one.request))),
    make('div', {}, amount(one), make('div', { class: 'small' }, `${one.commodity}, price ${one.price}`)),
    make('div', {}, `${one.votes_for} for, ${one.votes_against} against`, make('div', { class: 'small' },
      `${one.required ?? 'unknown'} required of ${one.group} (${one.function}${one.need ? `, ${one.need}` : ''})${one.own_vote ? `; voted ${one.own_vote} here` : ''}`)),
    came,
  ];
}

function handover(one) {
  return [
    make('div', {}, tag(one.stage), make('div', { class: 'small' }, one.why)),
    make('div', {}, `${one.kind}, ${one.role}`, make('div', { class: 'small' }, 'of ', short(one.settlement), one.child ? ' now ' : '', one.child ? short(one.child) : '')),
    `${one.by} to ${one.to}`, amount(one), dbm(one.eirp_mdbm), `${clockText(one.start_ns)} to ${clockText(one.end_ns)}`,
  ];
}

function dispute(one) {
  const ruled = one.outcome === null ? 'not ruled yet' : `${one.outcome}${one.ordered ? ` of ${one.ordered}` : ''}`;
  return [
    make('div', {}, tag(one.state), make('div', { class: 'small' }, `level ${one.level}`)),
    make('div', {}, one.ground, make('div', { class: 'small' }, 'of ', short(one.sid))), `${one.by} against ${one.against}`,
    `claim ${one.claim ?? 'unknown'}, ${one.evidence.length} records cited`, one.answer ?? 'no answer yet',
    make('div', {}, ruled, make('div', { class: 'small' }, one.owed ? `${one.owed} not paid yet` : one.paid ? `${one.paid} paid` : '')),
  ];
}

// Base stations: those that have a grant, and those that had to fall silent, with what was heard of them since.
function station(one) {
  return [
    tag(one.returned ? 'given back' : 'granted'), make('div', {}, one.device, make('div', { class: 'small' }, `grant ${one.grant}`)),
    band(one.low_hz, one.high_hz), dbm(one.eirp_mdbm), one.transmit_until, one.silent_by, short(one.settlement),
  ];
}

function ended(one) {
  const heard = one.verdict || 'being listened to';
  return [tag('ended'), one.device, band(one.low_hz, one.high_hz), '–', `ended ${span(one.ended_s * 1e9)} ago`, `by ear: ${heard}${one.detail ? `: ${one.detail}` : ''}`, '–'];
}

function jurisdiction(one) {
  const where = one.area.outline ? `an outline of ${one.area.outline.length} corners`
    : `${metres(one.area.radius_m)} around ${one.area.lat_deg.toFixed(4)}°, ${one.area.lon_deg.toFixed(4)}°`;
  const terms = one.classes.map((each) => `${each.commodity}: at most ${dbm(each.max_eirp_mdbm)}, ${span(each.max_window_ns)}`).join('; ');
  return [
    make('div', {}, one.name, make('div', { class: 'small' }, one.clause)), where, terms, one.reconciliation ?? 'none',
    `${one.authority}${one.represented ? ', this node\'s own' : ''}`, one.settlements.length ? make('span', {}, ...one.settlements.flatMap((sid) => [short(sid), ' '])) : 'none now',
  ];
}

function table(id, rows) {
  el(`${id}-part`).hidden = rows.length === 0;
  fill(el(id), rows, 'none');
  return rows.length;
}

// Show them all; the panel itself is there only where one of them is.
export function showMarket(live, now) {
  const { status, base_stations: below } = live;
  const ears = (below?.ears ?? []).filter((one) => one.state === 'ended').map(ended);
  const count = table('auctions', (status.auctions ?? []).map((one) => auction(one, now)))
    + table('approvals', (status.approvals ?? []).map((one) => approval(one, now)))
    + table('handovers', (status.handovers ?? []).map(handover))
    + table('disputes', (status.disputes ?? []).map(dispute))
    + table('stations', [...(below?.cbsds ?? []).map(station), ...ears])
    + table('jurisdictions', (status.jurisdictions ?? []).map(jurisdiction));
  el('more-panel').hidden = count === 0;
  el('withheld').textContent = below ? `worst case from a cause to RF off ${below.worst_s} s; SAS above: ${below.above ?? 'none'}`
    + Object.entries(below.withheld).map(([reason, times]) => `; withheld ${times} times: ${reason}`).join('')
    + Object.entries(below.heard_after).map(([device, detail]) => `; ALARM ${device} was heard after its end: ${detail}`).join('') : '';
}
