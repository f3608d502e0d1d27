/** @noResolution */
declare module "jit.opt" {
  export function start(this: void, ...parameters: string[]): void;
}
