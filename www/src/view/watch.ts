// Views redraw once a frame, and only where what they look at has changed.

import type { Store } from "../store.ts";

type Watch<S> = (select: (state: S) => unknown[], draw: (state: S) => void) => void;

/** Gives a function with which a view says what it looks at and how it draws that; it draws at once, too. */
export function watcher<S, A>(store: Store<S, A>): Watch<S> {
  const views: { select: (state: S) => unknown[]; draw: (state: S) => void; seen: unknown[] }[] = [];
  let isScheduled = false;
  const drawChanged = () => {
    isScheduled = false;
    const state = store.get();
    for (const view of views) {
      const now = view.select(state);
      if (now.every((value, index) => Object.is(value, view.seen[index]))) continue;
      view.seen = now;
      view.draw(state);
    }
  };
  store.subscribe(() => {
    if (isScheduled) return;
    isScheduled = true;
    requestAnimationFrame(drawChanged);
  });
  return (select, draw) => {
    views.push({ select, draw, seen: select(store.get()) });
    draw(store.get());
  };
}
