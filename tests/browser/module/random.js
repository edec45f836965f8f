/** A generator of random numbers that a seed makes repeatable (mulberry32). */
export class Random {
  #state;

  constructor(seed) {
    this.#state = seed;
  }

  next() {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Return a whole number from 0 to before `end`. */
  below(end) {
    return Math.floor(this.next() * end);
  }

  of(list) {
    return list[this.below(list.length)];
  }
}

const UNITS = ["a", "b", " ", "\n", "é", "e\u0301", "漢", "😀", "👨‍👩‍👧", "𝔘", "ﷺ", "\ud83d", "\ude00", "\ufffd", "\0"];

/** Return a text of up to `most` pieces, halves of surrogate pairs among them. */
export function randomText(random, most) {
  return Array.from({ length: random.below(most + 1) }, () => random.of(UNITS)).join("");
}

/** Return a text after a random edit, at positions in UTF-16 units, as an editor with no sense for pairs makes it. */
export function edited(random, text) {
  const start = random.below(text.length + 1);
  const end = Math.min(text.length, start + random.below(4));
  return random.below(12) === 0 ? randomText(random, 30) : text.slice(0, start) + randomText(random, 3) + text.slice(end);
}
