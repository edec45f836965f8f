// The page follows a growing answer, unless somebody has scrolled up to read.

import { byId } from "./template.js";

const NEAR_PIXELS = 80;
const MARGIN_PIXELS = 16;

let following = true;
let frame = 0;

addEventListener("scroll", () => (following = hidden() < NEAR_PIXELS), { passive: true });

/** Show the end of the last message in the next frame, if it was seen before. */
export function followEnd() {
  if (!following) return;
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    if (hidden() > 0) scrollBy({ top: hidden() });
  });
}

/** Show the end of the last message, whatever was seen. */
export function goToEnd() {
  following = true;
  followEnd();
}

// How much of the last message lies under the box, which covers the end of the page.
function hidden() {
  const last = byId("messages").lastElementChild;
  if (!last) return 0;
  return last.getBoundingClientRect().bottom + MARGIN_PIXELS - byId("composer").getBoundingClientRect().top;
}
