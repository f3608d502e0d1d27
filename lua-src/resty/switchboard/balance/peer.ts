/** One address that a request can be sent to, as one route sees it. */

import { InstanceState } from "./instances";

export interface Peer {
  address: string;
  port: number;
  tls: boolean;
  /** What marks of its death name: its entry in a `frontend:` list; undefined: it stands in none. */
  entry: string | undefined;
  /** SNI under TLS when the instance was given by name. */
  server_name: string | undefined;
  /** 0 to 65535; with 0 only requests with its cookie reach it. */
  weight: number;
  zone: string | undefined;
  /** Takes requests only while no other can. */
  backup: boolean;
  /** Takes no new requests but those with its cookie: drain=1 or weight 0. */
  resting: boolean;
  state: InstanceState;
  /** Of its turns, how many it may take at the moment: 1 all, 0 none, in between while it warms up. */
  share: number;
  /** Parts of a turn that it has saved up while it warms up. */
  credit: number;
  /** ngx.now() at which it joined the route; 0: with the others, it needs no warming up. */
  joined_at: number;
}
