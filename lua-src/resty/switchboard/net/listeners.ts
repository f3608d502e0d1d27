/**
 * The addresses this nginx listens on. An instance that is one of them would send a request round in a
 * circle until a loop is detected.
 *
 * nginx does not tell Lua its `listen` lines, but a worker holds the listening sockets: they are asked.
 */

import { abi, C, cdef, new as allocate } from "ffi";
import { parse_ip } from "./address";

cdef(`
int getsockopt(int socket, int level, int option, void *value, unsigned int *length);
int getsockname(int socket, void *address, unsigned int *length);
int inet_pton(int family, const char *text, void *binary);
int socket(int family, int type, int protocol);
int bind(int socket, const void *address, unsigned int length);
int close(int descriptor);
`);

/** Bytes, 0-based as in C. */
type Bytes = LuaTable<number, number>;

/** @noSelf */
interface Sockets {
  getsockopt(socket: number, level: number, option: number, value: Bytes, length: Bytes): number;
  getsockname(socket: number, address: Bytes, length: Bytes): number;
  inet_pton(family: number, text: string, binary: unknown): number;
  socket(family: number, type: number, protocol: number): number;
  bind(socket: number, address: Bytes, length: number): number;
  close(descriptor: number): number;
}

const sockets = C as Sockets;

/** Linux: linux/socket.h, asm-generic/socket.h, linux/in.h, linux/in6.h. */
const AF_INET = 2;
const AF_INET6 = 10;
const SOL_SOCKET = 1;
const SO_ACCEPTCONN = 30;
const SOCK_DGRAM = 2;
const SOCKADDR_SIZE = 28;
const SOCKADDR_IN_SIZE = 16;
/** Listening sockets are opened first; they have low numbers. */
const HIGHEST_DESCRIPTOR = 1024;

interface Listener {
  port: number;
  /** Canonical; undefined: every address of this machine. */
  address: string | undefined;
}

let listeners: Listener[] = [];

function is_listening(descriptor: number): boolean {
  const value = allocate<Bytes>("int[1]");
  const length = allocate<Bytes>("unsigned int[1]", 4);
  const failed = sockets.getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, value, length) !== 0;
  return !failed && value.get(0) === 1;
}

function address_v4(bytes: Bytes): string | undefined {
  const text = `${bytes.get(4)}.${bytes.get(5)}.${bytes.get(6)}.${bytes.get(7)}`;
  return text === "0.0.0.0" ? undefined : text;
}

function address_v6(bytes: Bytes): string | undefined {
  const groups: string[] = [];
  let unspecified = true;
  for (const i of $range(8, 22, 2)) {
    const group = bytes.get(i) * 256 + bytes.get(i + 1);
    unspecified = unspecified && group === 0;
    groups.push(string.format("%x", group));
  }
  return unspecified ? undefined : parse_ip(table.concat(groups, ":"))!.text;
}

function listener_of(descriptor: number): Listener | undefined {
  const bytes = allocate<Bytes>(`unsigned char[${SOCKADDR_SIZE}]`);
  const length = allocate<Bytes>("unsigned int[1]", SOCKADDR_SIZE);
  if (sockets.getsockname(descriptor, bytes, length) !== 0) {
    return undefined;
  }
  // sa_family is in the byte order of the machine; both families fit into one byte of it.
  const family = bytes.get(0) + bytes.get(1);
  const port = bytes.get(2) * 256 + bytes.get(3);
  if (family === AF_INET) {
    return { port, address: address_v4(bytes) };
  }
  return family === AF_INET6 ? { port, address: address_v6(bytes) } : undefined;
}

/** Learns the listeners; call it in each worker when it starts. */
function learn(): void {
  listeners = [];
  for (const descriptor of $range(0, HIGHEST_DESCRIPTOR)) {
    const listener = is_listening(descriptor) ? listener_of(descriptor) : undefined;
    if (listener !== undefined) {
      listeners.push(listener);
    }
  }
}

/** Whether an address belongs to this machine: only then can a socket be bound to it. */
function is_local(address: string): boolean {
  const v6 = string.find(address, ":", 1, true)[0] !== undefined;
  const family = v6 ? AF_INET6 : AF_INET;
  const binary = allocate<Bytes>("unsigned char[16]");
  if (sockets.inet_pton(family, address, binary) !== 1) {
    return false;
  }
  const name = allocate<Bytes>(`unsigned char[${SOCKADDR_SIZE}]`);
  const length = v6 ? SOCKADDR_SIZE : SOCKADDR_IN_SIZE;
  // sa_family is in the byte order of the machine.
  name.set(abi("le") ? 0 : 1, family);
  for (const i of $range(0, v6 ? 15 : 3)) {
    name.set((v6 ? 8 : 4) + i, binary.get(i));
  }
  const descriptor = sockets.socket(family, SOCK_DGRAM, 0);
  if (descriptor < 0) {
    return false;
  }
  const bound = sockets.bind(descriptor, name, length) === 0;
  sockets.close(descriptor);
  return bound;
}

/** Whether a connection to this address and port would reach this nginx itself. */
function is_own_listener(given: string, port: number): boolean {
  // The kernel connects ::ffff:10.0.0.1 as 10.0.0.1.
  const [mapped] = string.match(given, "^::ffff:(%d+%.%d+%.%d+%.%d+)$");
  const address = mapped ?? given;
  for (const listener of listeners) {
    if (
      listener.port === port &&
      (listener.address === address || (listener.address === undefined && is_local(address)))
    ) {
      return true;
    }
  }
  return false;
}

export { is_own_listener, learn };
