/** The certificate that this node shows to a Redis that asks for one. */

import { parse_pem_cert, parse_pem_priv_key } from "ngx.ssl";
import { Config } from "../config";

let certificate: object | undefined = undefined;
let key: object | undefined = undefined;

function read_file(option: string, path: string): string {
  const [file, err] = io.open(path, "r");
  if (file === undefined) {
    error(`configure: could not read the file that ${option} names: ${err!}`, 0);
  }
  // Reading a directory opens well and reads nothing.
  const text = file!.read("*a") ?? "";
  file!.close();
  return text;
}

/**
 * Reads the files that the options name. Call it in the init phase: workers may not be allowed to read the key. A new
 * certificate is taken with the next reload.
 */
function load_certificate(config: Config): void {
  certificate = undefined;
  key = undefined;
  const { redis_tls_cert, redis_tls_key } = config;
  if (redis_tls_cert === undefined || redis_tls_key === undefined) {
    return;
  }
  const [chain, bad_chain] = parse_pem_cert(read_file("redis_tls_cert", redis_tls_cert));
  if (chain === undefined) {
    error(`configure: redis_tls_cert must name a file with a certificate in PEM: ${bad_chain}`, 0);
  }
  const [secret, bad_key] = parse_pem_priv_key(read_file("redis_tls_key", redis_tls_key));
  if (secret === undefined) {
    error(`configure: redis_tls_key must name a file with a key in PEM, without a passphrase: ${bad_key}`, 0);
  }
  certificate = chain;
  key = secret;
}

/** Has it shown in the next handshake. */
function show(socket: NgxTcpSocket): string | undefined {
  if (certificate === undefined || key === undefined) {
    return undefined;
  }
  const [set, err] = socket.setclientcert(certificate, key);
  return set === undefined ? err : undefined;
}

export { load_certificate, show };
