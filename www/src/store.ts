// One value, changed by one function, watched by all views.

export interface Store<S, A> {
  get(): S;
  dispatch(action: A): void;
  /** Called after every change, with the value before it. */
  subscribe(listener: (now: S, before: S) => void): void;
}

export function createStore<S, A>(initial: S, reduce: (state: S, action: A) => S): Store<S, A> {
  let state = initial;
  const listeners: ((now: S, before: S) => void)[] = [];
  return {
    get: () => state,
    dispatch(action) {
      const before = state;
      state = reduce(state, action);
      if (state !== before) for (const listener of listeners) listener(state, before);
    },
    subscribe: (listener) => void listeners.push(listener),
  };
}
