// Where a time lies on the drawn timeline. Pure. Long pauses are cut short, and the scale grows in steps, so that the
// drawing does not creep while somebody types.

const LONGEST_PAUSE_MS = 4000;
const DRAWN_PAUSE_MS = 1000;
const STEPS_MS = [2, 4, 6, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300].map((seconds) => seconds * 1000);
const TICK_STEPS_MS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 60_000];
const MOST_TICKS = 6;

/**
 * @typedef {object} TimeScale
 * @property {(at: number) => number} position from 0 to 1; outside if the time is
 * @property {(position: number) => number} time of a position: the inverse
 * @property {{position: number, ms: number}[]} ticks with times since `origin`
 * @property {{position: number, ms: number}[]} breaks pauses that are cut short, and how long they were
 */

/**
 * Make the scale of a whole turn.
 *
 * @param {number[]} times in order
 * @returns {TimeScale}
 */
export function wholeScale(times) {
  const origin = times[0] ?? 0;
  const cuts = pauses(times);
  const drawn = (/** @type {number} */ at) => {
    let lost = 0;
    for (const cut of cuts) lost += cut.lost * fraction(at, cut);
    return at - origin - lost;
  };
  const last = drawn(times.at(-1) ?? 0);
  const width = STEPS_MS.find((step) => step >= last) ?? last * 1.05;
  const position = (/** @type {number} */ at) => drawn(at) / width;
  const inverse = (/** @type {number} */ wanted) => {
    let at = origin + wanted * width;
    for (const cut of cuts) {
      if (at <= cut.start) break;
      const rate = (cut.end - cut.start) / DRAWN_PAUSE_MS;
      at = at < cut.start + DRAWN_PAUSE_MS ? cut.start + (at - cut.start) * rate : at + cut.lost;
    }
    return at;
  };
  return {
    position,
    time: inverse,
    ticks: cuts.length ? [] : ticks(origin, origin, origin + width),
    breaks: cuts.map((cut) => ({ position: position((cut.start + cut.end) / 2), ms: cut.end - cut.start })),
  };
}

/**
 * Make the scale of the moments around Enter.
 *
 * @param {number} enter
 * @param {number | null} firstPart when the first token came
 * @returns {TimeScale}
 */
export function enterScale(enter, firstPart) {
  const wait = firstPart === null ? 0 : firstPart - enter;
  const after = Math.max(120, wait * 2);
  const start = enter - after / 2;
  const width = after * 1.5;
  return {
    position: (at) => (at - start) / width,
    time: (position) => start + position * width,
    ticks: ticks(enter, start, start + width),
    breaks: [],
  };
}

/** @param {number[]} times */
function pauses(times) {
  const found = [];
  for (let index = 1; index < times.length; index++) {
    const [start, end] = [times[index - 1], times[index]];
    if (end - start > LONGEST_PAUSE_MS) found.push({ start, end, lost: end - start - DRAWN_PAUSE_MS });
  }
  return found;
}

/**
 * @param {number} at
 * @param {{start: number, end: number}} cut
 */
function fraction(at, cut) {
  return Math.min(1, Math.max(0, (at - cut.start) / (cut.end - cut.start)));
}

/**
 * @param {number} origin
 * @param {number} start
 * @param {number} end
 */
function ticks(origin, start, end) {
  const step = TICK_STEPS_MS.find((size) => (end - start) / size <= MOST_TICKS) ?? (end - start) / MOST_TICKS;
  const found = [];
  for (let ms = Math.ceil((start - origin) / step) * step; origin + ms <= end; ms += step) {
    found.push({ position: (origin + ms - start) / (end - start), ms });
  }
  return found;
}
