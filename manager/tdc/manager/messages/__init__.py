"""What intent answers and is asked, as tdc.v1 messages: for all adapters, whatever they carry.

In: values of intent and levels, or messages. Out: the other. gRPC sends the messages; the REST API
makes of them the documents that `tdc -o json` prints too, so that there is one contract.
"""
