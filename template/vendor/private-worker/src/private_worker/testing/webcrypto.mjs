//
// WebCrypto as in workerd: what it takes and refuses where Node does otherwise.

import nodeCrypto from "node:crypto";

import { isPython } from "./context.mjs";
import { refuseAtImport } from "./guards.mjs";

const error = (name, message) => new DOMException(message, name);

/** A key as JSON. A Python dict will do, and a wrong one is refused as there. */
function publicKey(given, algorithm) {
  const jwk = isPython(given) ? given.toJs({ dict_converter: Object.fromEntries }) : given;
  if (jwk?.kty !== "RSA") return jwk;
  const bits = (name) => {
    const bytes = Buffer.from(String(jwk[name]), "base64url");
    if (jwk[name] === undefined || !/^[\w-]*$/.test(String(jwk[name]))) {
      throw error("DataError", `Invalid RSA key in JSON Web Key; missing or invalid parameter ("${name}").`);
    }
    return BigInt(`0x0${bytes.toString("hex")}`);
  };
  const [length, exponent] = [bits("n").toString(2).length, bits("e")];
  if (length < 256 || length > 16_384) {
    throw error("OperationError", `The modulus length must be between 256 and 16k, but ${length} was requested.`);
  }
  if (![3n, 17n, 37n, 65_537n].includes(exponent)) {
    throw error("OperationError", "Imported RSA key has invalid publicExponent.");
  }
  // There "alg" has to fit the hash, but not the scheme.
  const hash = String(algorithm?.hash?.name ?? algorithm?.hash).replace("SHA-", "");
  const { alg, ...rest } = jwk;
  return /^[RP]S\d+$/.test(alg) && alg.slice(2) === hash ? rest : jwk;
}

for (const name of ["decrypt", "deriveBits", "digest", "encrypt", "generateKey", "importKey", "sign", "verify"]) {
  const real = SubtleCrypto.prototype[name];
  SubtleCrypto.prototype[name] = function (...args) {
    if (name === "importKey" && args[0] === "jwk") args[1] = publicKey(args[1], args[2]);
    const wrong = args.findIndex(isPython);
    if (wrong >= 0) {
      throw new TypeError(
        `Failed to execute '${name}' on 'SubtleCrypto': parameter ${wrong + 1} is a Python object; ` +
          "use to_js(...), for a dict with dict_converter=Object.fromEntries.",
      );
    }
    if (name === "digest" && String(args[0]?.name ?? args[0]).toUpperCase() === "MD5") {
      return Promise.resolve(new Uint8Array(nodeCrypto.createHash("md5").update(bytes(args[1])).digest()).buffer);
    }
    return real.apply(this, args);
  };
}

const bytes = (value) => (ArrayBuffer.isView(value) ? value : new Uint8Array(value));
SubtleCrypto.prototype.timingSafeEqual = (a, b) => nodeCrypto.timingSafeEqual(bytes(a), bytes(b));

for (const name of ["getRandomValues", "randomUUID"]) {
  const real = crypto[name].bind(crypto);
  crypto[name] = (...args) => {
    refuseAtImport(`crypto.${name}`);
    return real(...args);
  };
}
