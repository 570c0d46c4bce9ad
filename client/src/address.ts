/** Where to connect: absolute, or relative to the page. Without one it is the root of the page's host. */
export type Address = string | URL | undefined;

/**
 * Returns the address of a WebSocket as `new WebSocket()` takes it in every browser.
 *
 * What is relative to a page that came by https becomes wss. Throws a `TypeError` for what is no URL.
 */
export function resolve(address: Address): string {
  const url = new URL(address ?? "/", globalThis.location?.href);
  url.protocol = url.protocol.replace(/^http/, "ws");
  url.hash = "";
  return url.href;
}
