// Channels Relay, BSD-3-Clause. Built from client/src by `npm run build`.

/** Where to connect: absolute, or relative to the page. Without one it is the root of the page's host. */
export type Address = string | URL | undefined;
/** How a connection, or an attempt at one, ended: a close code and its reason (RFC 6455, section 7.1.5 and 7.1.6). */
export interface Loss {
	/** 1006 is all that a browser tells of a handshake that was refused and of a network that has gone. */
	readonly code: number;
	readonly reason: string;
}
/** How a socket comes back, and how much it keeps while it is away. Times are in milliseconds. */
export interface Options {
	/** The first wait is drawn from 0 to this; the range doubles with every failure. Default 1000. */
	firstDelay: number;
	/** The range of a wait never grows beyond this. Default 30 000. */
	maxDelay: number;
	/** After 1013 ("try again later") a wait lasts this at least, and its range begins with this. Default 5000. */
	busyDelay: number;
	/** A connection that was open this long starts the waits from the beginning. Default 5000. */
	stableAfter: number;
	/** An attempt that has no answer by then has failed. Default 25 000, more than a server takes to decide. */
	connectTimeout: number;
	/** So many attempts in a row may fail before the socket is closed for good. Default `Infinity`. */
	maxRetries: number;
	/** So many messages wait for the next connection at most. Default 100. */
	maxQueue: number;
	/** And so many characters of text and bytes together. Default 1 048 576. */
	maxQueueSize: number;
	/** What binary messages arrive as. Default `"arraybuffer"`. */
	binaryType: BinaryType;
	/** Whether a connection that was lost is made again; `undefined` leaves it to the code. Default the code decides. */
	shouldReconnect: (loss: Loss) => boolean | undefined;
}
/** What a WebSocket sends: text, or bytes in one of the forms that browsers know. */
export type Data = string | ArrayBuffer | ArrayBufferView | Blob;
/**
 * - `connecting`: an attempt is under way
 * - `open`: connected
 * - `waiting`: away, the next attempt comes by itself
 * - `closing`: `close()` was called, the other side has not answered yet
 * - `closed`: for good; only `open()` connects again
 */
export type State = "connecting" | "open" | "waiting" | "closing" | "closed";
/** The events of a {@link ReconnectingWebSocket}, and what each has beside the fields of every `Event`. */
export interface SocketEvents {
	/** Connected. What a listener sends goes before the messages that have waited. */
	open: {
		/** Whether there was a connection before this one. */
		readonly reconnected: boolean;
	};
	/** A message has arrived. */
	message: {
		/** Text, or bytes as `binaryType` says. */
		readonly data: any;
		/** Returns what the text says as JSON; throws a `SyntaxError` if it is none. */
		readonly json: () => any;
	};
	/** A connection, or an attempt at one, has ended. */
	close: Loss & {
		/** Whether both sides said goodbye. */
		readonly wasClean: boolean;
		/** Bytes that `send()` took and that never left the browser. */
		readonly unsent: number;
		/** Whether that was the last: no attempt follows. */
		readonly final: boolean;
	};
	/** As a browser's WebSocket has it; a `close` that says more follows. */
	error: unknown;
	/** An attempt follows. Comes again for the same attempt if the wait was shortened. */
	reconnecting: Loss & {
		/** 1 for the first attempt since the last stable connection. */
		readonly attempt: number;
		/** Milliseconds until it begins. */
		readonly delay: number;
	};
	/** The state is another one. */
	state: {
		readonly state: State;
		readonly previous: State;
	};
	/**
	 * A message will not be sent: the queue was full, or the socket was closed for good. A warning goes to the console
	 * as well unless a listener calls `preventDefault()`.
	 */
	drop: {
		readonly data: Data;
		readonly reason: "full" | "closed";
	};
}
/** The event of one type. */
export type SocketEvent<Type extends keyof SocketEvents> = Event & SocketEvents[Type];
/** What an event target has whose events are listed in `Types`. */
export interface Target<Types> {
	addEventListener<Type extends keyof Types & string>(type: Type, listener: ((event: Event & Types[Type]) => void) | null, options?: AddEventListenerOptions | boolean): void;
	removeEventListener<Type extends keyof Types & string>(type: Type, listener: ((event: Event & Types[Type]) => void) | null, options?: EventListenerOptions | boolean): void;
	dispatchEvent(event: Event): boolean;
}
declare const TypedTarget: new <Types>() => Target<Types>;
/** The events of a {@link Stream}. */
export interface StreamEvents {
	/** A message of this stream has arrived; `data` is its payload. */
	message: {
		readonly data: any;
	};
}
/** One of several conversations on a socket: its frames are JSON, `{"stream": name, "payload": …}`. */
export declare class Stream extends TypedTarget<StreamEvents> {
	#private;
	readonly name: string;
	constructor(name: string, socket: ReconnectingWebSocket);
	/** Sends a payload as {@link ReconnectingWebSocket.sendJSON} does. */
	send(payload: unknown, options?: SendOptions): boolean;
}
/** What may be said about one message. */
export interface SendOptions {
	/** With `false` the message is sent now or not at all. Default `true`. */
	queue?: boolean;
}
/**
 * A WebSocket that comes back: a server that restarts, a network that goes and a laptop that sleeps interrupt it, and
 * what is sent meanwhile waits.
 *
 * It has the events, properties and methods of a browser's WebSocket and connects when it is made. Waits grow and are
 * drawn at random; 1012 starts them from the beginning, 1013 makes them longer, 1000 and 3000 to 4999 end it for good.
 */
export declare class ReconnectingWebSocket extends TypedTarget<SocketEvents> {
	#private;
	onopen: ((event: SocketEvent<"open">) => void) | null;
	onmessage: ((event: SocketEvent<"message">) => void) | null;
	onclose: ((event: SocketEvent<"close">) => void) | null;
	onerror: ((event: SocketEvent<"error">) => void) | null;
	/**
	 * Connects to an address, absolute or relative to the page; a function is called for each attempt.
	 *
	 * Throws what `new WebSocket()` throws, and a `RangeError` for an option out of range.
	 */
	constructor(address?: Address | (() => Address), protocols?: string | string[], options?: Partial<Options>);
	get state(): State;
	/** The state in the numbers of a browser's WebSocket; 0 (`CONNECTING`) includes waiting. */
	get readyState(): number;
	/** The address of the last attempt. */
	get url(): string;
	/** The subprotocol that the server has chosen, or `""`. */
	get protocol(): string;
	/** Bytes that were sent and have not left the browser; those that wait for a connection are not among them. */
	get bufferedAmount(): number;
	/** How many messages wait for a connection. */
	get queued(): number;
	/**
	 * Sends text or bytes now, or with the next connection.
	 *
	 * Returns false if it will not be sent: the queue is full, the socket is closed for good, or there is no connection
	 * and `queue` is false. Throws a `TypeError` for anything but text and bytes.
	 */
	send(data: Data, { queue }?: SendOptions): boolean;
	/** Sends a value as JSON; otherwise as {@link send}. */
	sendJSON(value: unknown, options?: SendOptions): boolean;
	/** Returns one stream of a multiplexed connection; always the same for a name. */
	stream(name: string): Stream;
	/** Connects now if there is no connection: ends the wait, or begins again after the socket was closed for good. */
	open(): void;
	/**
	 * Closes for good. Messages that still wait are dropped, each with its event.
	 *
	 * Throws what a browser's `close()` throws: the code is 1000 or from 3000 to 4999, the reason up to 123 bytes.
	 */
	close(code?: number, reason?: string): void;
}
/** Called with a message, or a stream's payload, and the name of the stream or `null`. */
export type Handler = (action: any, stream: string | null) => void;
/** The client of Channels 1: JSON and streams over a {@link ReconnectingWebSocket}. */
export declare class WebSocketBridge {
	#private;
	readonly options: Partial<Options>;
	/** The socket, once `connect()` was called. */
	socket: ReconnectingWebSocket | null;
	/** Takes options for every `connect()`. */
	constructor(options?: Partial<Options>);
	/** Connects, as `new ReconnectingWebSocket()` does. A connection that this bridge has already is closed. */
	connect(url?: Address, protocols?: string | string[], options?: Partial<Options>): void;
	/**
	 * Handles messages from now on: those of a stream by the stream's handler alone, others by the one given.
	 *
	 * Messages have to be JSON; binary ones are left to those who listen to the socket.
	 */
	listen(handler?: Handler | null): void;
	/** Handles the messages of one stream. */
	demultiplex(stream: string, handler: Handler): void;
	/** Sends a value as JSON; returns false if it will not be sent. */
	send(value: unknown): boolean;
	/** Returns what sends to one stream. */
	stream(name: string): {
		send(payload: unknown): boolean;
	};
}

export as namespace channels;

export {};
