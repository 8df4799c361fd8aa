// @ts-check
/**
 * Patches for the C++ source of tfjs-node's addon where it is compiled here. Each patch is text inserted
 * right after a passage that must occur exactly once, so that a new tfjs-node can't be patched wrongly.
 */
import { SetupError } from "./process.mjs";

/** The environment variable in which the addon finds a serialized ConfigProto, in hex. */
const CONFIG_VARIABLE = "MRCNN_TENSORFLOW_CONFIG";

/**
 * @typedef {{ why: string, after: string, insert: string }} Patch
 * @type {readonly Patch[]}
 */
const patches = [
  {
    why: "attributes that are lists of strings, as what a fused convolution does after it",
    after: "    case TF_ATTR_STRING: {\n",
    insert: `\
      if (IsArray(env, nstatus, &js_value)) {
        uint32_t length;
        nstatus = napi_get_array_length(env, js_value, &length);
        ENSURE_NAPI_OK(env, nstatus);
        std::vector<std::string> strings(length);
        std::vector<const void *> starts(length);
        std::vector<size_t> sizes(length);
        for (uint32_t i = 0; i < length; ++i) {
          napi_value element;
          nstatus = napi_get_element(env, js_value, i, &element);
          ENSURE_NAPI_OK(env, nstatus);
          nstatus = GetStringParam(env, element, strings[i]);
          ENSURE_NAPI_OK(env, nstatus);
          starts[i] = strings[i].data();
          sizes[i] = strings[i].size();
        }
        TFE_OpSetAttrStringList(tfe_op, attr_name, starts.data(), sizes.data(), static_cast<int>(length));
        break;
      }
`,
  },
  {
    why: "attributes that are lists of types, as the types of an op's many inputs are",
    after: "    case TF_ATTR_TYPE: {\n",
    insert: `\
      if (IsArray(env, nstatus, &js_value)) {
        uint32_t length;
        nstatus = napi_get_array_length(env, js_value, &length);
        ENSURE_NAPI_OK(env, nstatus);
        std::vector<TF_DataType> types(length);
        for (uint32_t i = 0; i < length; ++i) {
          napi_value element;
          nstatus = napi_get_element(env, js_value, i, &element);
          ENSURE_NAPI_OK(env, nstatus);
          nstatus = napi_get_value_int32(env, element, reinterpret_cast<int32_t *>(&types[i]));
          ENSURE_NAPI_OK(env, nstatus);
        }
        TFE_OpSetAttrTypeList(tfe_op, attr_name, types.data(), static_cast<int>(length));
        break;
      }
`,
  },
  {
    why: "a level for Abseil's log, and a ConfigProto for the context: a limit of a GPU's memory can't be said by TensorFlow's own variables",
    after: "  TFE_ContextOptions *tfe_options = TFE_NewContextOptions();\n",
    insert: `\
  // Abseil knows no variable for its level, and writes everything to stderr.
  if (const char *level = std::getenv("TF_CPP_MIN_LOG_LEVEL")) absl::SetMinLogLevel(static_cast<absl::LogSeverityAtLeast>(std::strtol(level, nullptr, 10)));
  if (const char *hex = std::getenv("${CONFIG_VARIABLE}")) {
    std::string config;
    for (const char *at = hex; at[0] != '\\0' && at[1] != '\\0'; at += 2) {
      config.push_back(static_cast<char>(std::strtol(std::string(at, 2).c_str(), nullptr, 16)));
    }
    TFE_ContextOptionsSetConfig(tfe_options, config.data(), config.size(), tf_status.status);
    if (TF_GetCode(tf_status.status) != TF_OK) {
      NAPI_THROW_ERROR(env, "${CONFIG_VARIABLE} is no ConfigProto: %s", TF_Message(tf_status.status));
    }
  }
`,
  },
  {
    why: "getenv and strtol, Abseil's level",
    after: "#include <cstring>\n",
    insert: '#include <cstdlib>\n#include "absl/log/globals.h"\n',
  },
];

/**
 * The text of binding/tfjs_backend.cc with the patches in it.
 *
 * @param {string} source @returns {string}
 * @throws {SetupError} when a passage that a patch goes after is missing, or there more than once.
 */
export function patchBackend(source) {
  return patches.reduce((text, { why, after, insert }) => {
    const parts = text.split(after);
    if (parts.length !== 2) {
      throw new SetupError(
        `binding/tfjs_backend.cc must have ${JSON.stringify(after.trim())} once, got it ${parts.length - 1} times, so it can't be given ${why}`,
      );
    }
    return parts.join(after + insert);
  }, source);
}

/** The file of the addon that `QUIET_SOURCE` makes. */
export const QUIET = "quiet.node";

/**
 * An addon that turns stderr off and on again. TensorFlow's libraries write to it while they are loaded,
 * before any variable or function of theirs could keep them from it. `off()` gives what `on(kept)` takes.
 */
export const QUIET_SOURCE = `\
#include <fcntl.h>
#include <node_api.h>
#include <unistd.h>
static napi_value off(napi_env env, napi_callback_info) {
  int kept = fcntl(2, F_DUPFD_CLOEXEC, 3);
  int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (kept >= 0 && nowhere >= 0) dup2(nowhere, 2);
  if (nowhere >= 0) close(nowhere);
  napi_value result;
  napi_create_int32(env, kept, &result);
  return result;
}
static napi_value on(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value argument;
  int kept = -1;
  napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr);
  napi_get_value_int32(env, argument, &kept);
  if (kept >= 0) {
    dup2(kept, 2);
    close(kept);
  }
  return nullptr;
}
NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "off", NAPI_AUTO_LENGTH, off, nullptr, &function);
  napi_set_named_property(env, exports, "off", function);
  napi_create_function(env, "on", NAPI_AUTO_LENGTH, on, nullptr, &function);
  napi_set_named_property(env, exports, "on", function);
  return exports;
}
`;
