/** One address that a request can be sent to. */

import { InstanceState } from "./instances";

export interface Peer {
  address: string;
  port: number;
  tls: boolean;
  /** SNI under TLS when the instance was given by name. */
  server_name: string | undefined;
  weight: number;
  state: InstanceState;
}
