/** An LLDP frame of a neighbour with a name and a port. */
export function lldpFrame(system: string, port: string): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder(), chassis = [4, 2, 0, 0, 0, 0, 9];
  const tlv = (
    type: number,
    bytes: readonly number[],
  ) => [type << 1 | bytes.length >> 8, bytes.length & 255, ...bytes];
  return Uint8Array.from([
    ...[0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e, 2, 0, 0, 0, 0, 9, 0x88, 0xcc],
    ...tlv(1, chassis),
    ...tlv(2, [5, ...text.encode(port)]),
    ...tlv(3, [0, 120]),
    ...tlv(5, [...text.encode(system)]),
    ...tlv(0, []),
  ]);
}
