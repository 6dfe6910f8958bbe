/* sockeye.h: all of libsockeye. */
#ifndef SOCKEYE_SOCKEYE_H
#define SOCKEYE_SOCKEYE_H

#include <sockeye/addr.h>
#include <sockeye/capture.h>
#include <sockeye/crypto.h>
#include <sockeye/doctor.h>
#include <sockeye/endpoint.h>
#include <sockeye/err.h>
#include <sockeye/file.h>
#include <sockeye/flow.h>
#include <sockeye/loop.h>
#include <sockeye/newfile.h>
#include <sockeye/packet.h>
#include <sockeye/privileges.h>
#include <sockeye/stream.h>
#include <sockeye/tls.h>
#include <sockeye/transfer.h>

#endif
