// The page follows a growing answer, unless somebody has scrolled up to read.

const NEAR_PIXELS = 60;

let following = true;
let frame = 0;

addEventListener("scroll", () => (following = isAtEnd()), { passive: true });

/** Scroll to the end in the next frame, if the end was seen. */
export function followEnd() {
  if (!following) return;
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    scrollTo({ top: document.documentElement.scrollHeight });
  });
}

/** Scroll to the end whatever was seen. */
export function goToEnd() {
  following = true;
  followEnd();
}

function isAtEnd() {
  return innerHeight + scrollY >= document.documentElement.scrollHeight - NEAR_PIXELS;
}
