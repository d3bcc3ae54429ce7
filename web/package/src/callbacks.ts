// Calling back to the user.

/** Calls back to the user, whose mistakes must not unwind through the module. */
export function told(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    console.error("@conclave/web: a callback failed", error);
  }
}
