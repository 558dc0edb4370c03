"""Rules of the guard, each taken out or loosened by hand: what to change, and which test notices.

`old` stands exactly once in the file, which is named from src/guard/ of the rendered project. The
test is one of the guard's suite. generated_mutations.py finds what nobody thought of here.
"""

# ruff: noqa: E501

from dataclasses import dataclass
from typing import Any

SHAPES: dict[str, dict[str, Any]] = {
    "everybody": {
        "profile": "custom",
        "callers": ["human", "machine", "binding"],
        "exposure": "workers_dev",
        "binding_style": "both",
        "upstreams": "billing",
    },
    "people": {"profile": "personal"},
    "machines": {"profile": "custom", "callers": ["machine"], "exposure": "workers_dev"},
    "fastapi": {"profile": "personal", "framework": "fastapi"},
}


@dataclass(frozen=True)
class Mutation:
    file: str
    rule: str
    old: str
    new: str
    test: str
    shape: str = "everybody"

    @property
    def name(self) -> str:
        return f"{self.file.removeprefix('../').removesuffix('.py')}: {self.rule}"


# fmt: off
ROWS: dict[str, list[tuple[str, ...]]] = {
    "events.py": [
        ("an event's class by its constructor's name", "platform.class_of(event) != event_class", 'getattr(getattr(event, "constructor", None), "name", "") != event_class', "test_events.py::test_forged_event"),
        ("an event by its fields", "platform.class_of(event) != event_class", 'not hasattr(event, "cron") and not hasattr(event, "messages")', "test_events.py::test_forged_event"),
        ("one more door", "DurableObject | WorkflowEntrypoint)", "object)", "test_events.py::test_no_other_door"),
        ("an object's underscores", '"__init__": make, "__getattribute__": look_up', '"__init__": make', "test_events.py::test_nothing_else_of_an_object_answers"),
        ("a class inside an object's", "if isroutine(method := getattr(inner, name)):", "if callable(method := getattr(inner, name)):", "test_events.py::test_nobody_makes_an_object"),
        ("an object as Python has it", "names[each.__name__] = _outside(each)", "names[each.__name__] = each", "test_events.py::test_nothing_else_of_an_object_answers"),
        ("what a handler raises is told", "await method(self, event)", "await __import__('asyncio').gather(method(self, event), return_exceptions=True)", "test_events.py::test_what_a_handler_raises"),
        ("the fixed answer", 'return python_to_rpc({"ok": False, "error": "forbidden"})', "raise TypeError(event)", "test_events.py::test_forged_event"),
    ],
    "token.py": [
        ("limit of the token's length", "MAX_TOKEN = 16 * 1024", "MAX_TOKEN = 17 * 1024", "test_token.py::test_longest_token"),
        ("limit of the header part", "MAX_HEADER = 2 * 1024", "MAX_HEADER = 2 * 1024 + 2", "test_token.py::test_longest_header_part"),
        ("three parts", 'parts = text.split(".")', 'parts = text.split(".")[:3]', "test_token.py::test_three_parts"),
        ("padding", 'rstrip(b"=") != text.encode("utf-8")', 'rstrip(b"=") != text.rstrip("=").encode("utf-8")', "test_token.py::test_strict_base64url"),
        ("algorithm by a list of bad ones", 'if header.get("alg") != ALGORITHM:', 'if header.get("alg") in ("none", "HS256"):', "test_token.py::test_other_algorithm"),
        ("algorithm's case", 'if header.get("alg") != ALGORITHM:', 'if str(header.get("alg")).upper() != ALGORITHM:', "test_token.py::test_other_algorithm"),
        ("empty crit", 'if "crit" in header or "b64" in header:', 'if header.get("crit") or "b64" in header:', "test_token.py::test_any_crit"),
        ("key id is a string", "if not isinstance(kid, str) or len(kid) > MAX_KEY_ID:", "if len(str(kid)) > MAX_KEY_ID:", "test_token.py::test_key_id_is_a_string"),
        ("issuer of any team", 'if found.get("iss") != settings.issuer:', 'if not str(found.get("iss")).endswith(".cloudflareaccess.com"):', "test_claims.py::test_other_issuer"),
        ("issuer there", 'if found.get("iss") != settings.issuer:', 'if found.get("iss", settings.issuer) != settings.issuer:', "test_claims.py::test_no_issuer"),
        ("audience there", 'if not _audience_matches(found.get("aud"), settings.audiences):', 'if "aud" in found and not _audience_matches(found["aud"], settings.audiences):', "test_claims.py::test_no_audience"),
        ("whole audience", "return audience in allowed", "return any(tag in audience for tag in allowed)", "test_claims.py::test_other_audience"),
        ("one audience of several is enough", "return not allowed.isdisjoint(audience)", "return allowed.issuperset(audience)", "test_claims.py::test_audience"),
        ("expiry is a number", "if not _is_time(expires) or expires <= now - LEEWAY:", "if _is_time(expires) and expires <= now - LEEWAY:", "test_claims.py::test_expiry_is_a_number"),
        ("leeway of the expiry", "expires <= now - LEEWAY", "expires <= now - 2 * LEEWAY", "test_claims.py::test_expiry_passes"),
        ("no leeway of the expiry", "expires <= now - LEEWAY", "expires <= now", "test_claims.py::test_expiry"),
        ("nbf and iat are numbers", "if not _is_time(starts) or starts", "if _is_time(starts) and starts", "test_claims.py::test_not_before_is_a_number"),
        ("leeway of nbf and iat", "starts > now + LEEWAY", "starts > now + 90", "test_claims.py::test_not_before"),
        ("no leeway of nbf and iat", "starts > now + LEEWAY", "starts > now", "test_claims.py::test_not_before"),
        ("type by a list of bad ones", 'if found.get("type") != "app":', 'if found.get("type") == "org":', "test_claims.py::test_other_type"),
        ("type there", 'if found.get("type") != "app":', 'if found.get("type", "app") != "app":', "test_claims.py::test_no_type"),
    ],
    "strictjson.py": [
        ("nesting of bodies", "if too_deep(data):", "if False:", "test_api_border.py::test_deep_bodies_do_not_end_the_isolate"),
        ("limit of nesting", "MAX_NESTING = 32", "MAX_NESTING = 33", "test_token.py::test_nesting_is_limited"),
        ("few brackets", 'data.count(b"{") <= MAX_NESTING', 'data.count(b"{") <= 2 * MAX_NESTING', "test_token.py::test_nesting_is_limited"),
        ("escaped backslashes", '.replace(b"\\\\\\\\", b"")', "", "test_token.py::test_nesting_is_limited"),
        ("escaped quotes", '.replace(b\'\\\\"\', b"")', "", "test_token.py::test_any_other_json_is_fine"),
        ("brackets in strings", "[::2]", "", "test_token.py::test_any_other_json_is_fine"),
        ("NaN", 'raise ValueError(f"{text} is not JSON")', "return float(text)", "test_token.py::test_payload_is_strict_json"),
        ("UTF-8", 'data.decode("utf-8")', 'data.decode("utf-8", "replace")', "test_token.py::test_payload_is_strict_json"),
        ("no byte order mark", 'data.decode("utf-8")', 'data.decode("utf-8-sig")', "test_token.py::test_payload_is_strict_json"),
    ],
    "keys.py": [
        ("a set is an object", " if isinstance(document, dict) else None", "", "test_keys.py::test_answer_without_keys"),
        ("entries are objects", "jwks = [entry for entry in entries if isinstance(entry, dict)]", "jwks = entries", "test_keys.py::test_odd_entries_harm_no_others"),
        ("kty", 'jwk.get("kty") == "RSA"', "True", "test_keys.py::test_unusable_keys_are_passed_over"),
        ("alg", 'jwk.get("alg", "RS256") == "RS256"', "True", "test_keys.py::test_unusable_keys_are_passed_over"),
        ("use", 'jwk.get("use", "sig") == "sig"', "True", "test_keys.py::test_unusable_keys_are_passed_over"),
        ("key_ops is a list", "isinstance(operations, list)", "operations is not None", "test_keys.py::test_unusable_keys_are_passed_over"),
        ("e", 'jwk.get("e") == EXPONENT', "True", "test_keys.py::test_exponent"),
        ("shortest key", "MIN_BITS <= _bits", "0 < _bits", "test_keys.py::test_short_keys"),
        ("2048 bits", "MIN_BITS, MAX_BITS = 2048, 8192", "MIN_BITS, MAX_BITS = 2047, 8192", "test_keys.py::test_short_keys"),
        ("limit of freshness", "FRESH = 60 * 60", "FRESH = 60 * 65", "test_keys.py::test_fresh_for_an_hour"),
        ("kept while there are no new ones", "KEPT = 24 * 60 * 60", "KEPT = 60 * 60", "test_keys.py::test_old_keys_are_kept_for_a_day"),
        ("refresh goes on without its caller", "await platform.finish(ctx, self._refresh(now))", "await self._refresh(now)", "test_keys.py::test_cancelled_refresh_goes_on"),
        ("many cold attempts", "COLD_ATTEMPTS = 50", "COLD_ATTEMPTS = 19", "test_keys.py::test_cold_requests_at_once"),
        ("one more cold attempt each second", " + int(now - self._cold_since)", "", "test_keys.py::test_forged_tokens_do_not_use_the_attempts_up"),
        ("cold attempts that were not made", "            return False\n        self._cold_attempts += 1\n", "            self._cold_attempts += 1\n            return False\n        self._cold_attempts += 1\n", "test_keys.py::test_forged_tokens_do_not_use_the_attempts_up"),
        ("length of the cooldown", "COOLDOWN = 30", "COOLDOWN = 10", "test_keys.py::test_rotation_is_seen_after_the_cooldown"),
        ("end of the cooldown", "COOLDOWN = 30", "COOLDOWN = 60", "test_keys.py::test_rotation_is_seen_after_the_cooldown"),
        ("cooldown begins with the attempt", 'self._next_attempt = now + COOLDOWN\n            return True', "return True", "test_keys.py::test_flood_of_unknown_key_ids"),
        ("keys that left are dropped", 'self._keys = keys\n', 'self._keys = {**self._keys, **keys}\n', "test_keys.py::test_key_that_left_the_set"),
        ("the key of a known token is there", "return self._keys.get(kid) is key", "return True", "test_known.py::test_unknown_again_when_its_key_leaves"),
        ("the key of a known token is the same", "return self._keys.get(kid) is key", "return kid in self._keys", "test_known.py::test_unknown_again_when_its_key_is_replaced"),
    ],
    "platform.py": [
        ("no redirects", 'redirect="manual"', 'redirect="follow"', "test_keys.py::test_redirects_are_not_followed"),
        ("status of the keys", "if response.status != 200:", "if not response.ok:", "test_keys.py::test_only_status_200_counts"),
        ("time for the keys", 'redirect="manual", signal=signal', 'redirect="manual"', "test_keys.py::test_fetch_ends_after_five_seconds"),
        ("size of the keys", "return await read(response.body, limit)", "return await read(response.body, 2 * limit)", "test_keys.py::test_largest_answer"),
        ("failed fetch", "except (JsException, OSError):", "except KeyError:", "test_keys.py::test_nobody_there"),
        ("size of a body", "while len(body) <= limit:", "while True:", "test_api_border.py::test_longest_body"),
        ("body of exactly the limit", "while len(body) <= limit:", "while len(body) < limit:", "test_api_border.py::test_longest_body"),
        ("identity of no known form", "return found if isinstance(found, dict) else {}", "return found if isinstance(found, dict) else None", "test_proof.py::test_context_without_a_person_is_nobody_even_if_anyone_may_come"),
        ("identity that is no object", "if identity is None or identity is jsnull:", "if not isinstance(identity, JsProxy):", "test_proof.py::test_context_with_an_identity_of_any_kind"),
        ("identity that is another object", 'if class_of(identity) == "Object" else None', "if isinstance(identity, JsProxy) else None", "test_proof.py::test_context_with_an_identity_of_any_kind"),
        ("identity that is null", "identity is None or identity is jsnull", "identity is None", "test_proof.py::test_context_with_an_identity_of_any_kind"),
        ("answers that were fetched", 'except JsException:\n        raw = Response.new(raw.body, raw)', 'except KeyError:\n        raw = Response.new(raw.body, raw)', "test_api_border.py::test_fetched_answer_is_not_cached_either"),
    ],
    "gate.py": [
        ("payload after the signature", "kid = token.key_id(parsed)", 'kid = token.key_id(parsed)\n        token.claims(parsed.payload, self._settings, platform.now())', "test_token.py::test_payload_is_not_looked_at_before_the_signature"),
        ("claims", "claims = token.claims(parsed.payload, self._settings, now)", "claims = token._object(parsed.payload, Reason.TOKEN_PAYLOAD)", "test_claims.py::test_other_audience"),
        ("local work for this computer", "if self._local and", "if False and", "test_proof.py::test_local_work_has_no_other_name"),
        ("local work for a name that begins so", "not in THIS_COMPUTER:", "[:9] not in ('127.0.0.1', 'localhost', '::1'):", "test_proof.py::test_local_work_has_no_other_name"),
        ("deployed under any name", 'chosen.issuer.startswith("http://")', "True", "test_proof.py::test_no_host_is_open"),
        ("this computer's names", '"localhost", "::1")', '"localhost")', "test_proof.py::test_local_work"),
        ("empty header", "if text is not None:", "if text:", "test_proof.py::test_bad_header_is_refused_whatever_the_context_says"),
        ("header before context", "if text is not None:", 'if text is not None and getattr(ctx, "access", None) is None:', "test_proof.py::test_expired_header_is_refused_whatever_the_context_says"),
        ("no cookie", "text = platform.header(request, PROOF)", 'text = platform.header(request, PROOF) or (platform.header(request, "Cookie") or "").partition("=")[2] or None', "test_proof.py::test_cookie_is_no_proof"),
        ("no Authorization", "text = platform.header(request, PROOF)", 'text = platform.header(request, PROOF) or platform.header(request, "Authorization")', "test_proof.py::test_token_in_another_header_is_no_proof"),
        ("no plain address", "raise Refused(Reason.NO_PROOF)", 'return identity.human(platform.header(request, "Cf-Access-Authenticated-User-Email"), self._settings)', "test_proof.py::test_plain_headers_are_no_proof"),
        ("context without a person", "if person is None:", "if not person:", "test_proof.py::test_context_without_a_person_is_nobody_even_if_anyone_may_come"),
        ("known as it is", "self._known[text] = (who", 'self._known[text.rpartition(".")[0] + "."] = self._known[text] = (who', "test_known.py::test_known_only_as_it_is"),
        ("settings before anything", "_gate = Gate(settings.load(found))", "_gate = Gate(settings.load(found) if platform.header(request, PROOF) else None)", "test_settings.py::test_no_setting_at_all"),
    ],
    "identity.py": [
        ("both person and machine", "if has_email == has_common_name:", "if not has_email and not has_common_name:", "test_claims.py::test_both_person_and_machine"),
        ("neither person nor machine", "if has_email == has_common_name:", "if has_email and has_common_name:", "test_claims.py::test_neither_person_nor_machine"),
        ("empty address beside a common name", 'has_email = "email" in claims', 'has_email = bool(claims.get("email"))', "test_machines.py::test_machine_with_an_address"),
        ("empty common name beside an address", 'has_common_name = "common_name" in claims', 'has_common_name = bool(claims.get("common_name"))', "test_people.py::test_person_with_a_common_name"),
        ("common name is text", "if not isinstance(client_id, str) or not", "if isinstance(client_id, str) and not", "test_machines.py::test_common_name_is_a_client_id"),
        ("unnamed machine", "if not settings.allows_any_service_token:", "if not settings.service_tokens:", "test_proof.py::test_context_of_a_machine"),
        ("no machines", 'if not MACHINES:\n        raise Refused(Reason.CALLER_KIND, "machine")\n    if not settings.allows_service_token', "if not settings.allows_service_token", "test_no_machines.py", "people"),
        ("no unnamed machines", 'if not MACHINES:\n        raise Refused(Reason.CALLER_KIND, "machine")\n    if not settings.allows_any', "if not settings.allows_any", "test_no_machines.py", "people"),
    ],
    "settings.py": [
        ("upper case", "text = text.lower()", "pass", "test_settings.py::test_team_domain_is_normalised"),
        ("one label", '(?:https://)?({LABEL})\\.cloudflareaccess', '(?:https://)?({LABEL}(?:\\.{LABEL})*)\\.cloudflareaccess', "test_settings.py::test_bad_team_domain"),
        ("dots of the domain", ')\\.cloudflareaccess\\.com', ").cloudflareaccess.com", "test_settings.py::test_bad_team_domain"),
        ("https", "(?:https://)?", "(?:https?://)?", "test_settings.py::test_bad_team_domain"),
        ("slashes at the end", 'cloudflareaccess\\.com/*', 'cloudflareaccess\\.com', "test_settings.py::test_team_domain_is_normalised"),
        ("no values in the log", '"must look like https://<team>.cloudflareaccess.com"', 'f"is {text}"', "test_answers.py::test_log_names_the_setting_but_not_its_value"),
        ("whole address", "fold(email) in self.emails", "any(fold(email).endswith(entry) for entry in self.emails)", "test_people.py::test_another_address"),
        ("whole Client ID", "client_id in self.service_tokens", "any(client_id in entry for entry in self.service_tokens)", "test_machines.py::test_client_id_is_compared_whole"),
    ],
    "values.py": [
        ("length of the label", "[a-z0-9-]{0,61}", "[a-z0-9-]*", "test_settings.py::test_bad_team_domain"),
        ("case of ASCII addresses", "return email.lower() if email.isascii() else email", "return email", "test_people.py::test_same_address"),
        ("case of other addresses", "return email.lower() if email.isascii() else email", "return email.lower()", "test_people.py::test_another_address"),
        ("no case folding", "return email.lower() if email.isascii() else email", "return email.casefold()", "test_people.py::test_another_address"),
        ("a domain's dot", '@({LABEL}(?:\\.{LABEL})+)', '@({LABEL}(?:\\.{LABEL})*)', "test_settings.py::test_bad_list"),
        ("what is behind the last @", 'email.rpartition("@")', 'email.partition("@")', "test_people.py::test_address_of_a_domain"),
        ("a domain in ASCII", "if name and domain.isascii()", "if name", "test_people.py::test_no_letter_folds_into_a_domain"),
        ("a domain without a name in front", "if name and domain.isascii()", "if domain.isascii()", "test_people.py::test_address_of_another_domain"),
        ("placeholder in lower case", "if PLACEHOLDER in value.upper():", "if PLACEHOLDER in value:", "test_settings.py::test_no_audience_for_local_work"),
        ("every entry", "return [text_of(name, item) for item in value]", "return value", "test_settings.py::test_bad_list"),
        ("list or text", 'raise NotConfigured(name, "is missing or neither a list nor a string")', "return []", "test_settings.py::test_bad_list"),
    ],
    "roles.py": [
        ("people by address alone", 'yield "human", text', 'yield "machine", text', "test_roles.py::test_a_role"),
        ("kinds stay apart", "members.isdisjoint(who)", "{name for _, name in members}.isdisjoint({name for _, name in who})", "test_roles.py::test_a_worker_with_the_name_of_another_kind"),
        ("a role that nobody defined", "if role not in (None, *identity.roles)", "if identity.roles and role not in (None, *identity.roles)", "test_roles.py::test_without_roles"),
        ("a kind", " or kind not in (None, identity.kind)", "", "test_roles.py::test_a_kind"),
        ("a role besides the kind", "role not in (None, *identity.roles) or ", "kind is None and role not in (None, *identity.roles) or ", "test_roles.py::test_a_kind"),
        ("something is required", "(role, kind) == (None, None) or ", "", "test_roles.py::test_a_mistake_of_the_api"),
        ("a table", "if not isinstance(value, dict):", "if value and not isinstance(value, dict):", "test_roles.py::test_malformed_roles_close_the_worker"),
        ("a list", "if not isinstance(listed, list):", "if not isinstance(listed, list | dict):", "test_roles.py::test_malformed_roles_close_the_worker"),
        ("an entry that means nobody", 'raise NotConfigured(NAME, f"has an entry in {role} that means no caller")', "pass", "test_roles.py::test_malformed_roles_close_the_worker"),
    ],
    "who.py": [
        ("a plain hash", 'hmac.digest(self.key, text.encode(errors="surrogatepass"), "sha256")', '__import__("hashlib").sha256(text.encode()).digest()', "test_log_who.py::test_pseudonym"),
        ("no secret, no pseudonym", "if self.key is None:\n            return None", 'if self.key is None:\n            return hmac.digest(b"", name.encode(), "sha256").hex()', "test_log_who.py::test_no_pseudonym_without_the_secret"),
        ("kinds have pseudonyms of their own", 'f"{kind} {', 'f"{', "test_log_who.py::test_pseudonym"),
        ("one pseudonym for one person", "fold(name) if", "name if", "test_log_who.py::test_one_person_has_one_pseudonym"),
        ("two Workers, two pseudonyms", "fold(name) if kind == 'human' else name", "fold(name)", "test_log_who.py::test_two_workers_have_two_pseudonyms"),
        ("a name that is no UTF-8", 'errors="surrogatepass"', "", "test_log_who.py::test_a_name_that_is_no_utf_8"),
        ("length of the secret", "MIN_KEY = 32", "MIN_KEY = 1", "test_log_who.py::test_malformed_key"),
        ("a mode by its first letter", "if mode not in (NONE, PSEUDONYM, NAME):", "if str(mode).lower().strip() not in (NONE, PSEUDONYM, NAME):", "test_log_who.py::test_malformed"),
    ],
    "bound.py": [
        ("list of Workers for requests", "if ANYONE not in allowed and name not in allowed:", "if False:", "test_bound_fetch.py::test_another_caller"),
        ("plain results", '        _check_result(value)\n', "", "test_bound_rpc.py::test_result_that_cannot_cross"),
        ("results in results", '        for item in value:\n            _check_result(item, depth + 1)', "        pass", "test_bound_rpc.py::test_result_that_cannot_cross"),
        ("mistakes stay inside", "except BaseException:  # asyncio", "except Exception:  # asyncio", "test_bound_rpc.py::test_bad_request_and_mistake"),
        ("bad requests stay inside", 'except BadRequest as error:\n        return', 'except KeyError as error:\n        return', "test_bound_rpc.py::test_bad_request_and_mistake"),
    ],
    "edge.py": [
        ("a mistake closes the door", 'log.unexpected(error, request)\n        return answers.forbidden()', "raise", "test_answers.py::test_mistake_in_the_guard_closes_the_door"),
        ("the same answer whatever the reason", 'return answers.forbidden()\n    except NotConfigured', "return answers.reply({'error': refusal.reason.value}, 403)\n    except NotConfigured", "test_answers.py::test_one_answer_whatever_the_reason"),
    ],
    "answers.py": [
        ("nothing is cached", '"Cache-Control": PRIVATE, ', "", "test_answers.py::test_one_answer_whatever_the_reason"),
        ("Retry-After", '{"Retry-After": str(retry_after)}', "{}", "test_answers.py::test_keys_unavailable"),
        ("nothing of the API is cached", 'isinstance(response, Reply) or platform.has_header(response, "Cache-Control")', "True", "test_api_border.py::test_no_answer_is_cached"),
        ("mistakes of the API stay inside", "except BaseException:", "except Exception:", "test_api_border.py::test_mistake_in_the_api"),
    ],
    "log.py": [
        ("form of the ray id", "value if value is not None and _RAY.fullmatch(value) else None", "value", "test_answers.py::test_no_ray"),
        ("who, before the API runs", '    _line("allow", "ok", *caller.as_dict().values(), request=request)\n', "", "test_log_who.py::test_name"),
        ("nobody is named by default", 'if who.mode == NONE:\n        return {}', "pass", "test_log_who.py::test_nobody_is_named"),
        ("no answer's line by default", 'if who.mode != NONE:\n        kind', "if True:\n        kind", "test_log_who.py::test_nobody_is_named"),
        ("methods that a caller makes up", 'if method is None or method in VERBS else "another"', "", "test_log_who.py::test_what_they_did"),
        ("ray id", 'line |= {"ray": _ray(request)', 'line |= {"ray": None', "test_answers.py::test_ray"),
    ],
    "body.py": [
        ("content type of a body", 'if _media_type(request) != "application/json":', "if False:", "test_api_border.py::test_other_content_type"),
        ("length of a body", 'if data is None:\n        raise', "if data is None:\n        return b'[]'\n        raise", "test_api_border.py::test_longest_body"),
    ],
    "entrypoint.py": [
        ("another class", "return NoClass", "return type(self)", "test_reachable.py::test_what_every_object_has"),
        ("an object's own class", "return NoClass", "return type(self)", "test_events.py::test_nobody_makes_an_object"),
        ("what every object has", "if name in OF_EVERY_OBJECT:", "if False:", "test_reachable.py::test_what_every_object_has"),
        ("what is no method is logged", "log.refused(Reason.NOT_A_METHOD, None, None)", "pass", "test_reachable.py::test_what_every_object_has"),
        ("hidden names on Internal", 'if name.startswith("_") and name != "__dict__":', "if False:", "test_bound_rpc.py::test_nothing_else_can_be_called"),
        ("hidden names on Default", 'if name.startswith("_") and name != "__dict__":', "if False:", "test_reachable.py::test_nothing_of_python_answers_on_default", "people"),
    ],
    "shape.py": [
        ("people", "HUMANS = False", "HUMANS = True", "test_no_people.py", "machines"),
        ("machines", "MACHINES = False", "MACHINES = True", "test_no_machines.py", "people"),
    ],
    "../upstream.py": [
        ("GET has no body", "None if reads else raw.body or None", "raw.body or None", "test_upstream.py::test_get_without_a_body"),
        ("paths by list", " or not self._allows(segments)", "", "test_upstream.py::test_paths_by_list"),
        ("whole segments", "segments[: len(wanted)] == wanted", '"/".join(segments).startswith("/".join(wanted))', "test_upstream.py::test_paths_by_list"),
        ("segments before decoding", '[unquote(part, errors="strict") for part in path.split("/")[1:]]', 'unquote(path, errors="strict").split("/")[1:]', "test_upstream.py::test_paths_by_list"),
        ("path means the same", "all(_is_name(segment) for segment in segments)", "True", "test_upstream.py::test_path_stays_inside"),
        ("look-alikes", 'unicodedata.normalize("NFKC", segment)', "segment", "test_upstream.py::test_path_stays_inside"),
        ("what no segment may hold", "_UNSAFE.search(alike) or ", "", "test_upstream.py::test_path_stays_inside"),
        ("control characters", '{"Cc", "Cf"}', '{"Cf"}', "test_upstream.py::test_no_control_or_format_character_in_a_name"),
        ("format characters", '{"Cc", "Cf"}', '{"Cc"}', "test_upstream.py::test_no_control_or_format_character_in_a_name"),
        ("marks beside dots", 'not in "CM"', 'not in "C"', "test_upstream.py::test_dots_beside_what_cannot_be_seen"),
        ("unassigned and private characters beside dots", 'not in "CM"', 'not in "M"', "test_upstream.py::test_dots_beside_what_cannot_be_seen"),
        ("empty letters beside dots", " and sign not in _EMPTY", "", "test_upstream.py::test_dots_beside_what_cannot_be_seen"),
        ("blanks", "all(map(_NAME.match, ", 'all(piece not in ("", ".", "..") and piece[1:2] != ":" for piece in (', "test_upstream.py::test_path_stays_inside"),
        ("dots", '[^.\\s]', '[^\\s]', "test_upstream.py::test_path_stays_inside"),
        ("parameters of a segment", 're.split("[/;]", seen)', 'seen.split("/")', "test_upstream.py::test_path_stays_inside"),
        ("encoded slashes", 're.split("[/;]", seen)', 'seen.split(";")', "test_upstream.py::test_path_stays_inside"),
        ("backslashes", '[\\\\?#%', "[?#%", "test_upstream.py::test_path_stays_inside"),
        ("ends of a path", '[\\\\?#%', '[\\\\%', "test_upstream.py::test_path_stays_inside"),
        ("encodings in encodings", '[\\\\?#%', '[\\\\?#', "test_upstream.py::test_path_stays_inside"),
        ("signs that become slashes", '\\u2044\\u20a9\\u2215\\u2216', "", "test_upstream.py::test_path_stays_inside"),
        ("drives", "(?![A-Za-z]:)", "", "test_upstream.py::test_path_stays_inside"),
        ("bytes that are not UTF-8", 'errors="strict"', 'errors="replace"', "test_upstream.py::test_path_stays_inside"),
        ("methods by list", "if raw.method not in self.methods:", "if False:", "test_upstream.py::test_methods_by_list"),
        ("pages of other sites", "if not reads and from_another_site(raw):", "if False:", "test_upstream.py::test_pages_of_other_sites_change_nothing"),
        ("request headers by list", "for name in names - ends_here if name in sent}", "for name in sent}", "test_upstream.py::test_headers_that_go_along"),
        ("headers named in Connection", "names - ends_here", "names", "test_upstream.py::test_headers_that_connection_names"),
        ("login only where configured", "if self.authorization and _is_own_login", "if _is_own_login", "test_upstream.py::test_login_goes_along_only_where_configured"),
        ("service token as JSON", '"{" not in authorization and ', "", "test_upstream.py::test_service_token_never_goes_along"),
        ("service token by name", ' and "cf-access" not in authorization.lower()', "", "test_upstream.py::test_service_token_never_goes_along"),
        ("largest body", "if int(length) > self.max_body:", "if False:", "test_upstream.py::test_length_of_a_body"),
        ("length of a body", 'if not re.fullmatch("[0-9]{1,18}", length):', "if False:", "test_upstream.py::test_length_that_is_none"),
        ("redirects", '            redirect="manual",\n', "", "test_upstream.py::test_redirects_and_errors_are_not_passed_on"),
        ("errors of the service", " or response.status >= 500:", ":", "test_upstream.py::test_redirects_and_errors_are_not_passed_on"),
        ("response headers by list", "if name in RESPONSE_HEADERS}", "}", "test_upstream.py::test_headers_that_come_back"),
        ("scripts do not run", "if not pages:", "if False:", "test_upstream.py::test_scripts_do_not_run"),
        ("origin", 'if not re.fullmatch(r"https?://[^/?#@\\s]+", self.origin):', "if False:", "test_upstream.py::test_mistakes_in_the_list"),
        ("time to begin an answer", "await asyncio.wait_for(request, self.timeout)", "await request", "test_upstream.py::test_slow_service"),
        ("text in place of a tuple", "if isinstance(self.methods, str) or isinstance(self.paths, str):", "if False:", "test_upstream.py::test_mistakes_in_the_list"),
    ],
}
# fmt: on

MUTATIONS = [Mutation(file, *row) for file, rows in ROWS.items() for row in rows]
