/**
 * Calls back when it is likely that a connection can be made again, or is wanted: the network has returned, or
 * somebody looks at the page. Until the signal aborts.
 */
export function onWake(callback: () => void, signal: AbortSignal): void {
  const page = globalThis.document; // a worker has none
  globalThis.addEventListener?.("online", callback, { signal });
  page?.addEventListener("visibilitychange", () => page.visibilityState === "visible" && callback(), { signal });
}
